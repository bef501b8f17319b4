"""The attention module (Eq. 3): features of the source and an embedding -> where to edit, per pixel.

Inputs above the blend resolution are sampled to it before their 1x1 convolution; since convolution, bias and activation
are pointwise this is the released order at a fifteenth of its cost. Modulation and demodulation are folded into a
[outputs,C] matrix per prompt, so that the prompts of one image share its features without copies.

Legend: B batch, D embedding width, C channels of an input, r blend resolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.generators.base import CONSTANT, Generator
from where2edit.ops.layers import EqualLinear, scaled_leaky_relu


@dataclass(frozen=True)
class AttentionConfig:
    """The `method.attention` section."""

    inputs: Literal["all", "trunk"] = (
        "all"  # trunk: only what is written up to the blend site, so that no tail is needed
    )
    channels: int = 32  # per input
    bias: float = 5.0  # added before the sigmoid: 5 makes the untrained mask about 0.995 everywhere
    noise: bool = False  # per-call noise in training, as in the released code; inference never has it
    starts_at: float = 0.15  # share of the run before it is trained; its losses' ramps should begin at the same moment
    styled: bool = True  # False: Eq. 3 as printed, a = M(f, h) without bias, activation and constant input

    def __post_init__(self):
        if not 0 <= self.starts_at < 1:
            raise ValueError(f"method.attention.starts_at is {self.starts_at}; give a share of the run from 0, below 1")


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
        """x [B,C,r,r] or [1,C,r,r], h [B,D] -> [B,outputs,r,r]."""
        weight = self.weight * self.gain * self.affine(h)[:, None]  # [B,outputs,C]
        weight = weight * (weight.square().sum(2, keepdim=True) + 1e-8).rsqrt()
        y = (weight @ x.flatten(2)).unflatten(2, x.shape[2:])
        if self.bias is None:
            return y
        if noise:
            y = y + self.noise_strength * torch.randn_like(y[:, :1])
        return scaled_leaky_relu(y + self.bias[:, None, None])


class Attention(nn.Module):
    """a = sigmoid(M_fin(concat_i M_i(f_i, h), h) + bias): 1x1 modulated convolutions over source features."""

    def __init__(self, generator: Generator, blend_site: str, text_dim: int, config: AttentionConfig):
        super().__init__()
        site = generator.site(blend_site)
        self.resolution, self.noise = site.resolution, config.noise
        sites = generator.sites if config.inputs == "all" else generator.upto(blend_site)
        convolutions = {s.name: s.channels for s in sites if s.convolution}
        constant = generator.start(1).features.shape[1]
        inputs = {CONSTANT: constant, **convolutions} if config.styled else convolutions
        self.inputs = tuple(inputs)
        layers = [(width, config.channels) for width in inputs.values()]
        self.first = nn.ModuleList(ModulatedConv1x1(text_dim, *sizes, config.styled) for sizes in layers)
        self.last = ModulatedConv1x1(text_dim, config.channels * len(inputs), 1, config.styled)
        self.bias = nn.Parameter(torch.tensor(config.bias))

    def release(self, trained: bool = True) -> None:
        """Let the module be trained, or freeze it; the noise strengths only where the noise is in use."""
        self.requires_grad_(trained)
        for conv in (*self.first, self.last):
            if conv.noise_strength is not None:
                conv.noise_strength.requires_grad_(trained and self.noise)

    def forward(self, features: dict[str, Tensor], h: Tensor) -> Tensor:
        """features {site: [B,C,.,.]}, h [B,D] -> a [B,1,r,r] in (0,1). Raises ValueError when an input is missing."""
        missing = [name for name in self.inputs if name not in features]
        if missing:
            raise ValueError(
                f"attention reads {', '.join(missing)}, which the source lacks; walk the generator further"
            )
        noise = self.noise and self.training
        size = (self.resolution, self.resolution)
        maps = []
        for name, conv in zip(self.inputs, self.first, strict=True):
            x = features[name]
            x = F.interpolate(x, size, mode="nearest") if x.shape[-1] > self.resolution else x
            maps.append(F.interpolate(conv(x, h, noise), size, mode="nearest"))
        return torch.sigmoid(self.last(torch.cat(maps, dim=1), h, noise) + self.bias)
