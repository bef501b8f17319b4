"""Which cells of which layer: the two region selectors of CoralStyleCLIP (Revanur et al. 2023, Section 3.2).

Both are trained for one prompt and give each layer an attention [B,1,h,h] in (0,1) of its own resolution.

Legend: B batch, C channels of a layer, O channels of a network, h resolution of a layer, r blend resolution, P
segments, N layers.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.face_parsing import FaceParser
from where2edit.generators.base import Site
from where2edit.ops.layers import EqualLinear, at_every_cell


class AttentionNetworks(nn.Module):
    """A network for each layer, which reads the features of that layer alone: 1x1 to O channels, ReLU, 1x1, sigmoid."""

    START = 0.1  # factor on the initial weights of the last layer, so that masks start even

    def __init__(self, layers: tuple[Site, ...], channels: int, bias: float):
        """bias: added before the sigmoid at first."""
        super().__init__()
        self.names = tuple(layer.name for layer in layers)
        self.first = nn.ModuleList(EqualLinear(layer.channels, channels) for layer in layers)
        self.last = nn.ModuleList(EqualLinear(channels, 1, bias=bias) for _ in layers)
        with torch.no_grad():
            for layer in self.last:
                layer.weight.mul_(self.START)

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """The source's features {site: [B,C,h,h]} -> {layer: [B,1,h,h]}."""
        found = {}
        for name, first, last in zip(self.names, self.first, self.last, strict=True):
            hidden = at_every_cell(first, features[name].to(first.weight)).relu()  # [B,O,h,h]
            found[name] = at_every_cell(last, hidden).sigmoid()
        return found


class SegmentSelection(nn.Module):
    """The matrix e [P,N] = sigmoid(logits): how far each segment is selected at each layer."""

    def __init__(self, layers: tuple[Site, ...], segments: int, bias: float):
        """bias: all logits at first."""
        super().__init__()
        self.sizes = {layer.name: layer.resolution for layer in layers}
        self.logits = nn.Parameter(torch.full((segments, len(layers)), float(bias)))

    def selection(self) -> Tensor:
        """e [P,N] in (0,1)."""
        return self.logits.sigmoid()

    def forward(self, labels: Tensor, selection: Tensor) -> dict[str, Tensor]:
        """Labels [B,r,r] in [0,P) and a matrix [P,N] -> {layer: [B,1,h,h]}, the mean over the pixels of a cell."""
        cells = F.embedding(labels, selection).movedim(3, 1)  # [B,N,r,r]
        sizes = enumerate(self.sizes.items())
        return {name: F.adaptive_avg_pool2d(cells[:, i : i + 1], size) for i, (name, size) in sizes}


def parsed_labels(images: Tensor, cells: int) -> Tensor:
    """Classes of face parsing of images [B,3,H,W] in [-1,1], read at `cells` x `cells` pixels: int64 [B,r,r]."""
    labels = _parser(images.device).labels(images)[:, None].float()
    return F.interpolate(labels, size=(cells, cells), mode="nearest").long()[:, 0]


@cache
def _parser(device: torch.device) -> FaceParser:
    """The face parser, which is no part of a method's weights."""
    return FaceParser.load().to(device)
