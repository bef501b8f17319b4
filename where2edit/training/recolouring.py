"""Recolouring parts of a face, as tensor functions of pictures and masks.

The colour of a part is changed in CIE Lab, by one shift for all its pixels, so that texture and shading stay.

Legend: B pictures, s pixels to a side. Pictures are [B,3,s,s] in [0,1], masks [B,1,s,s] in [0,1]; Lab colours are (L
from 0 to 100, a, b).
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.ops.colour import lab_to_rgb, rgb_to_lab

HAIR_LAB = {  # the six hair colours that CelebA lacks, then the natural ones
    "Purple_Hair": (38, 38, -40), "Blue_Hair": (40, 5, -42), "Green_Hair": (48, -38, 28), "Red_Hair": (38, 48, 32),
    "Pink_Hair": (64, 40, -4), "Orange_Hair": (56, 36, 50), "Blond_Hair": (70, 5, 33), "Black_Hair": (13, 0, 0),
    "Brown_Hair": (30, 9, 15), "Gray_Hair": (64, 0, 2),
}  # fmt: skip
LIPS_LAB = {"Red_Lips": (40, 54, 24), "Pink_Lips": (58, 42, 0), "Purple_Lips": (32, 34, -16)}
EYES_LAB = {"Blue_Eyes": (48, -4, -28), "Green_Eyes": (46, -22, 16), "Brown_Eyes": (24, 10, 14)}

SMALLEST_AREA = 1e-3  # pixels: under an empty mask a mean is 0 and not 0/0


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
