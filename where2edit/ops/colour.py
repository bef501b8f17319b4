"""Colour spaces: sRGB and CIE Lab under the white D65, as tensor functions with gradients.

Legend: B pictures of h x w pixels. sRGB is [B,3,h,w] in [0,1]; Lab is [B,3,h,w] with L from 0 to 100 and a, b around 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.core.devices import constant

WHITE = (0.950456, 1.0, 1.088754)  # D65
# Linear sRGB -> XYZ (IEC 61966-2-1); the numbers below are that standard's and CIE 15's.
TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))


def rgb_to_lab(images: Tensor) -> Tensor:
    """sRGB in [0,1] -> CIE Lab under D65."""
    linear = torch.where(images > 0.04045, ((images.clamp_min(0) + 0.055) / 1.055) ** 2.4, images / 12.92)
    xyz = torch.einsum("ij,bjhw->bihw", constant(TO_XYZ, linear), linear) / constant(WHITE, linear).view(3, 1, 1)
    f = torch.where(xyz > 0.008856, xyz.clamp_min(1e-8) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """CIE Lab under D65 -> sRGB, clipped to [0,1]."""
    level, a, b = lab.unbind(1)
    y = (level + 16) / 116
    f = torch.stack([y + a / 500, y, y - b / 200], 1)
    xyz = torch.where(f > 0.206893, f**3, (f - 16 / 116) / 7.787) * constant(WHITE, lab).view(3, 1, 1)
    linear = torch.einsum("ij,bjhw->bihw", torch.linalg.inv(constant(TO_XYZ, lab)), xyz).clamp(0, 1)
    return torch.where(linear > 0.0031308, 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055, 12.92 * linear)
