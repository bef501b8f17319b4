"""Areas of a parsed face that have no class of their own, and the geometry to find them.

Legend: B faces, s pixels to a side. Label maps of face parsing are int [B,s,s], masks [B,1,s,s] in [0,1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.backbones.face_parsing import region_mask

# Where cheeks are, in half extents of the nose: to both sides of its centre, below it, and their radius. Ours, by eye.
CHEEK_BESIDE, CHEEK_BELOW, CHEEK_RADIUS = 2.6, 0.6, 1.3


def soft_mask(labels: Tensor, *regions: str, blur: int = 3) -> Tensor:
    """Labels [B,s,s] -> mask [B,1,s,s] of the named parts, its edge blurred by a box of `blur` pixels (odd)."""
    mask = region_mask(labels, *regions)[:, None].float()
    return F.avg_pool2d(mask, blur, 1, blur // 2, count_include_pad=False)


def cheeks(labels: Tensor) -> Tensor:
    """Labels [B,s,s] -> mask [B,1,s,s]: two Gaussian spots on the skin, to both sides of the lower end of the nose."""
    x, y, width, height = extent(region_mask(labels, "nose"))
    across, down = pixel_grid(labels.shape[-1], labels.device)
    radius = CHEEK_RADIUS * width
    below = ((down - y - CHEEK_BELOW * height) / radius) ** 2
    spots = sum(
        torch.exp(-(((across - x - side * CHEEK_BESIDE * width) / radius) ** 2) - below) for side in (-1, 1)
    )  # [B,s,s]
    return spots[:, None] * soft_mask(labels, "skin")


def pixel_grid(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The columns [1,1,s] and the rows [1,s,1] of a picture, in pixels."""
    line = torch.arange(size, device=device, dtype=torch.float32)
    return line[None, None, :], line[None, :, None]


def extent(mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Centre and half extents (twice the standard deviation) of bool masks [B,s,s], each [B,1,1] in pixels."""
    across, down = pixel_grid(mask.shape[-1], mask.device)
    weight = mask.float()
    total = weight.sum((1, 2), keepdim=True).clamp_min(1)
    x, y = ((weight * axis).sum((1, 2), keepdim=True) / total for axis in (across, down))
    width, height = (
        2 * ((weight * (axis - centre) ** 2).sum((1, 2), keepdim=True) / total).sqrt().clamp_min(1.0)
        for axis, centre in ((across, x), (down, y))
    )
    return x, y, width, height
