"""Random changes of a picture that leave its captions true: position, light, sharpness, noise, a covered part.

Legend: B pictures [B,3,s,s] in [0,1]. Random numbers come from a CPU generator, so that every device draws the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def augment(images: Tensor, size: int, draw: torch.Generator) -> Tensor:
    """Augmented pictures: [B,3,s,s] in [0,1] -> [B,3,size,size] in [0,1].

    Includes what the training of an editor does to a picture before it is encoded (training/losses/views.py).
    """
    images = _affine(images, size, draw)
    images = _colour(images, draw)
    images = _some(images, 0.3, draw, lambda x: _low_pass(x, int(torch.randint(36, 80, (), generator=draw))))
    images = _some(images, 0.3, draw, lambda x: x + 0.05 * torch.rand((), generator=draw) * _noise(x, draw))
    return _some(images, 0.25, draw, lambda x: _cut_out(x, draw)).clamp(0, 1)


def _some(images: Tensor, share: float, draw: torch.Generator, change: Callable[[Tensor], Tensor]) -> Tensor:
    """The pictures with `change` applied to a random `share` of them."""
    rows = (torch.rand(len(images), generator=draw) < share).nonzero().flatten().to(images.device)
    return images.index_copy(0, rows, change(images[rows])) if len(rows) else images


def _affine(images: Tensor, size: int, draw: torch.Generator) -> Tensor:
    """Flip half; rotate by up to 12 degrees, scale by up to 12 %, shift by up to 6 %."""
    turn, scale, dx, dy, flip = (2 * torch.rand(5, len(images), generator=draw) - 1).unbind(0)
    angle, scale = turn * math.radians(12), 1 + 0.12 * scale
    side = torch.where(flip > 0, 1.0, -1.0)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    theta = torch.stack(
        [torch.stack([cos * side, -sin, 0.12 * dx], 1), torch.stack([sin * side, cos, 0.12 * dy], 1)], 1
    )
    shape = (len(images), 3, size, size)
    grid = F.affine_grid(theta.to(images.device), shape, align_corners=False)
    # Bilinear sampling at a smaller size would alias, so that the picture is shrunk first.
    if size < images.shape[-1]:
        images = F.interpolate(images, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _colour(images: Tensor, draw: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation by up to 15 %; the hue stays, since colours are what captions name."""
    bright, contrast, saturation = (1 + 0.15 * (2 * torch.rand(3, len(images), 1, 1, 1, generator=draw) - 1)).to(
        images.device
    )
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * contrast + mean * bright
    grey = images.mean(1, keepdim=True)
    return grey + (images - grey) * saturation


def _low_pass(images: Tensor, size: int) -> Tensor:
    """Shrink to `size` pixels and enlarge again."""
    small = F.interpolate(images, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(small, images.shape[-2:], mode="bilinear", align_corners=False)


def _noise(images: Tensor, draw: torch.Generator) -> Tensor:
    """Standard normal numbers of the pictures' shape."""
    return torch.randn(images.shape, generator=draw).to(images)


def _cut_out(images: Tensor, draw: torch.Generator) -> Tensor:
    """A grey box of a fifth to a third of the width at a random place."""
    size = images.shape[-1]
    box = int(size * (0.2 + 0.13 * torch.rand((), generator=draw)))
    corner = torch.randint(0, size - box, (2, len(images)), generator=draw)
    line = torch.arange(size)
    inside = [(line >= c[:, None]) & (line < c[:, None] + box) for c in corner]
    hole = (inside[0][:, :, None] & inside[1][:, None, :])[:, None].to(images.device)
    return torch.where(hole, images.mean(), images)
