"""The attention module of the paper (Section 3.3, Eq. 3): features of the source and an embedding -> where to edit.

Inputs above the blend resolution are sampled to it before their 1x1 convolution. Convolution, bias and activation act
on each pixel alone, so that this equals the released order (convolution first) at a fifteenth of its cost. Modulation
and demodulation are folded into one [O,C] matrix per prompt, so that the prompts of one image share its features
without copies.

Legend: B batch, D embedding width, C channels of an input, O channels of a map, n inputs, r blend resolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.core.bounds import Bounds, ShareBelowOne
from where2edit.editing.attention import ATTENTIONS
from where2edit.editing.attention.base import Attention
from where2edit.generators.base import CONSTANT, Generator
from where2edit.ops.layers import EqualLinear, scaled_leaky_relu

EPSILON = 1e-8  # StyleGAN2's, under the root of the demodulation


@dataclass(frozen=True)
class AttentionOptions:
    """Options of the attention `modulated`; the defaults are those of the released code."""

    inputs: Literal["all", "trunk"] = "all"  # features of all sites; trunk: of those up to the blend site only
    channels: Annotated[int, Bounds(1, 4096)] = 32  # O, per input
    # Added before the sigmoid: 5 makes the untrained attention about 0.995 everywhere.
    bias: Annotated[float, Bounds(-100, 100)] = 5.0
    noise: bool = False  # noise in training, as in the released code; there is none at inference
    # Share of the run before it is trained; its losses' ramps should begin at the same moment.
    starts_at: ShareBelowOne = 0.15
    styled: bool = True  # False: Eq. 3 as printed, a = M(f, h) without bias, activation and constant input


class ModulatedConv1x1(nn.Module):
    """StyleGAN2's styled convolution with kernel 1: modulated by h, demodulated, then noise, bias, leaky ReLU.

    Without `styled` it ends after the demodulation.
    """

    def __init__(self, text_dim: int, inputs: int, outputs: int, styled: bool = True):
        super().__init__()
        self.affine = EqualLinear(text_dim, inputs, bias=1)
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if styled else None
        self.noise_strength = nn.Parameter(torch.zeros(())) if styled else None
        self.gain = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, h: Tensor, noise: bool = False) -> Tensor:
        """x [B,C,r,r] or [1,C,r,r], h [B,D] -> [B,O,r,r]."""
        # Modulation by h, then demodulation: each row of a prompt's matrix gets length 1.
        weight = self.weight * self.gain * self.affine(h)[:, None]  # [O,C] * [B,1,C] -> [B,O,C]
        weight = weight * (weight.square().sum(2, keepdim=True) + EPSILON).rsqrt()
        # The convolution, as one matrix product per prompt; of prompts that share their features as one for all.
        if len(x) == 1 < len(weight):
            y = (weight.flatten(0, 1) @ x[0].flatten(1)).view(*weight.shape[:2], *x.shape[2:])  # [B*O,C] @ [C,r*r]
        else:
            y = (weight @ x.flatten(2)).unflatten(2, x.shape[2:])  # [B,O,C] @ [B,C,r*r] -> [B,O,r,r]
        if self.bias is None:
            return y
        if noise:
            y = y + self.noise_strength * torch.randn_like(y[:, :1])
        return scaled_leaky_relu(y + self.bias[:, None, None])


@ATTENTIONS.register("modulated", options=AttentionOptions)
class ModulatedAttention(Attention):
    """a = sigmoid(M_fin(concat_{i=1..n} interpolate(M_i(f_i, h)), h) + bias) (Eq. 3 before Clus).

    f_i: the constant input and the features of every convolution of the source. `first` holds M_i, `last` M_fin.
    """

    def __init__(self, generator: Generator, blend_site: str, text_dim: int, options: AttentionOptions):
        super().__init__()
        self.resolution = generator.site(blend_site).resolution
        self.noise, self.starts_at = options.noise, options.starts_at
        self.reads_tail = options.inputs == "all"
        inputs = _inputs(generator, blend_site, options)
        self.inputs = tuple(inputs)
        layers = [(width, options.channels) for width in inputs.values()]
        self.first = nn.ModuleList(ModulatedConv1x1(text_dim, *sizes, options.styled) for sizes in layers)
        self.last = ModulatedConv1x1(text_dim, options.channels * len(inputs), 1, options.styled)
        self.bias = nn.Parameter(torch.tensor(options.bias))

    def release(self, trained: bool = True) -> None:
        """Let the module be trained, or freeze it; the noise strengths only where the noise is in use."""
        super().release(trained)
        for conv in (*self.first, self.last):
            if conv.noise_strength is not None:
                conv.noise_strength.requires_grad_(trained and self.noise)

    def forward(self, features: dict[str, Tensor], h: Tensor) -> Tensor:
        """features {site: [B,C,.,.]}, h [B,D] -> a [B,1,r,r] in (0,1). Raises ValueError when an input is missing."""
        missing = ", ".join(name for name in self.inputs if name not in features)
        if missing:
            raise ValueError(f"attention reads {missing}, which the source lacks; walk the generator further")
        noise = self.noise and self.training
        size = (self.resolution, self.resolution)
        # One map of O channels per input, at the blend resolution.
        maps = []
        for name, conv in zip(self.inputs, self.first, strict=True):
            x = features[name]
            x = F.interpolate(x, size, mode="nearest") if x.shape[-1] > self.resolution else x
            x = x.to(self.bias)  # the tail's may be bfloat16
            maps.append(F.interpolate(conv(x, h, noise), size, mode="nearest"))  # [B,O,r,r]
        # All maps together: [B,n*O,r,r] -> [B,1,r,r].
        return torch.sigmoid(self.last(torch.cat(maps, dim=1), h, noise) + self.bias)


def _inputs(generator: Generator, blend_site: str, options: AttentionOptions) -> dict[str, int]:
    """Name and channels of each input, in the order of the generator; the constant stands first."""
    sites = generator.sites if options.inputs == "all" else generator.upto(blend_site)
    convolutions = {s.name: s.channels for s in sites if s.convolution}
    constant = generator.start(1).features.shape[1]
    return {CONSTANT: constant, **convolutions} if options.styled else convolutions
