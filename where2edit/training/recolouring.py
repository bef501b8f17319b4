"""Recolouring parts of a parsed face: hair, lips, skin and cheeks, as tensor functions of pictures and label maps.

The colour of a part is changed in CIE Lab, by one shift for all its pixels, so that texture and shading stay.

Legend: B pictures, s pixels to a side. Pictures are [B,3,s,s] in [0,1], label maps of face parsing int [B,s,s], masks
[B,1,s,s] in [0,1]; Lab colours are (L from 0 to 100, a, b).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.backbones.face_parsing import region_mask
from where2edit.ops.colour import lab_to_rgb, rgb_to_lab

HAIR_LAB = {  # the six hair colours that CelebA lacks, then the natural ones
    "Purple_Hair": (38, 38, -40), "Blue_Hair": (40, 5, -42), "Green_Hair": (48, -38, 28), "Red_Hair": (38, 48, 32),
    "Pink_Hair": (64, 40, -4), "Orange_Hair": (56, 36, 50), "Blond_Hair": (70, 5, 33), "Black_Hair": (13, 0, 0),
    "Brown_Hair": (30, 9, 15), "Gray_Hair": (64, 0, 2),
}  # fmt: skip
LIPS_LAB = {"Red_Lips": (40, 54, 24), "Pink_Lips": (58, 42, 0), "Purple_Lips": (32, 34, -16)}
EYES_LAB = {"Blue_Eyes": (48, -4, -28), "Green_Eyes": (46, -22, 16), "Brown_Eyes": (24, 10, 14)}

SMALLEST_AREA = 1e-3  # pixels: under an empty mask a mean is 0 and not 0/0
# Where cheeks are, in half extents of the nose: to both sides of its centre, below it, and their radius. Ours, by eye.
CHEEK_BESIDE, CHEEK_BELOW, CHEEK_RADIUS = 2.6, 0.6, 1.3


def soft_mask(labels: Tensor, *regions: str, blur: int = 3) -> Tensor:
    """Labels [B,s,s] -> mask [B,1,s,s] of the named parts, its edge blurred by a box of `blur` pixels (odd)."""
    mask = region_mask(labels, *regions)[:, None].float()
    return F.avg_pool2d(mask, blur, 1, blur // 2, count_include_pad=False)


def region_colour(images: Tensor, mask: Tensor) -> Tensor:
    """Mean Lab colour [B,3] of pictures under a mask; 0 under an empty one."""
    return (rgb_to_lab(images) * mask).sum((2, 3)) / mask.sum((2, 3)).clamp_min(SMALLEST_AREA)


def tint(images: Tensor, mask: Tensor, shift: Tensor) -> Tensor:
    """Pictures with their Lab colour shifted by [B,3] under a mask."""
    changed = lab_to_rgb(rgb_to_lab(images) + shift[:, :, None, None])
    return images + (changed - images) * mask


def recolour(images: Tensor, mask: Tensor, target: Tensor, amount: Tensor, lift: Tensor) -> Tensor:
    """Pictures with the mean colour under a mask brought towards Lab `target` [B,3].

    Shares of the way: `amount` [B] for chroma (a, b), `lift` [B] for lightness; 0 leaves it, 1 reaches the target.
    """
    share = torch.stack([lift, amount, amount], 1)  # [B,3]
    return tint(images, mask, share * (target - region_colour(images, mask)))


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
