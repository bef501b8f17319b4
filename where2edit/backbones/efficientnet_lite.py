"""EfficientNet-Lite0 without its classifier: EfficientNet without squeeze-and-excitation (Liu, Google 2020).

Weights: asset `efficientnet-lite0`, ImageNet-1k. Two forms of the same network: with batch normalisation, as
published, and fused, each normalisation folded into its convolution, which is a third faster on a CPU and is the form
that we train and ship. Strided convolutions pad evenly where TensorFlow pads right and below: a shift of half a cell,
which training absorbs.

Legend: B batch, s pixels.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.preprocess import load_strictly
from where2edit.files import assets
from where2edit.files.formats.readers import read_network

WIDTH = 1280  # channels of the last feature map
STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
          (3, 1, 6, 320, 1))  # kernel, first stride, expansion, channels, repeats  # fmt: skip
MIDDLE = 10  # the last block at 1/16 of the input
MIDDLE_WIDTH = 112


class ConvNorm(nn.Module):
    """A convolution with batch normalisation, or fused, with a bias instead."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, fused: bool = False
    ):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=fused)
        self.norm = nn.Identity() if fused else nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Block(nn.Module):
    """Inverted bottleneck: expand, depthwise convolution, project; the input is added where the shapes are equal."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, fused: bool):
        super().__init__()
        wide = inputs * expansion
        self.expand = ConvNorm(inputs, wide, fused=fused) if expansion > 1 else None
        self.depthwise = ConvNorm(wide, wide, kernel, stride, wide, fused)
        self.project = ConvNorm(wide, outputs, fused=fused)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """Normalised images [B,3,s,s] -> (features [B,112,s/16,s/16], features [B,1280,s/32,s/32])."""

    def __init__(self, fused: bool = True):
        super().__init__()
        self.stem = ConvNorm(3, 32, 3, 2, fused=fused)
        blocks, inputs = [], 32
        for kernel, stride, expansion, outputs, repeats in STAGES:
            for i in range(repeats):
                blocks.append(Block(inputs, outputs, kernel, stride if i == 0 else 1, expansion, fused))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = ConvNorm(inputs, WIDTH, fused=fused)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu6(self.stem(x))
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == MIDDLE:
                middle = x
        return middle, F.relu6(self.head(x))

    @classmethod
    def load(cls, path: str | Path | None = None) -> EfficientNetLite0:
        """The ImageNet network with batch normalisation, from `path` or the asset."""
        path = path or assets.fetch("efficientnet-lite0")
        state = read_network(path)
        net = cls(fused=False)
        # The classifier is not ours; every other key must find its place.
        named = {_rename(key): value for key, value in state.items() if not key.startswith("_fc.")}
        load_strictly(net, named, str(path))
        return net


def _rename(key: str) -> str:
    """The published file's name of a tensor -> ours."""
    roles = {
        "expand": ("_expand_conv", "_bn0"),
        "depthwise": ("_depthwise_conv", "_bn1"),
        "project": ("_project_conv", "_bn2"),
    }
    if not key.startswith("_blocks."):
        roles = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for role, (conv, norm) in roles.items():
        key = key.replace(conv, f"{role}.conv").replace(norm, f"{role}.norm")
    return key.removeprefix("_")


@torch.no_grad()
def fuse(net: EfficientNetLite0) -> EfficientNetLite0:
    """The fused twin: every normalisation, with its present statistics, folded into its convolution."""
    fused = EfficientNetLite0(fused=True)
    for source, target in zip(_conv_norms(net), _conv_norms(fused), strict=True):
        scale = source.norm.weight * (source.norm.running_var + source.norm.eps).rsqrt()
        target.conv.weight.copy_(source.conv.weight * scale[:, None, None, None])
        target.conv.bias.copy_(source.norm.bias - source.norm.running_mean * scale)
    return fused


def _conv_norms(net: nn.Module) -> list[ConvNorm]:
    """The network's convolutions in the order in which they were made."""
    return [module for module in net.modules() if isinstance(module, ConvNorm)]


@torch.no_grad()
def calibrate(net: EfficientNetLite0, batches: list[Tensor]) -> None:
    """Replace the normalisation statistics by those of `batches` (normalised images): faces are not ImageNet."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
    net.train()
    for batch in batches:
        net(batch)
    net.eval()
