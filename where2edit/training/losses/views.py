"""Random views of an image before it is encoded, so that an edit must be seen in more than one of them.

A source and all its edits get the same view: what the view itself does to the embedding cancels in their difference.
Random numbers come from torch's global generator, which the training loop seeds for each step.

Legend: n sources, m edits of each, B = n*(1 + m) images of H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

TURN, SCALE = 6, 0.08  # largest rotation in degrees, largest change of scale
SHIFT = 0.08  # largest shift, in units of half the width: 4 % of it
LOW_PASS = (32, 56)  # fewest and most pixels to which an image is shrunk before it is enlarged again
NOISE = 0.06  # sigma, of images in [-1,1]


def views_of(images: Tensor, groups: int, count: int) -> Iterator[Tensor]:
    """Images [B,3,H,W] as they are, or `count` random views of them: the first low-passed, the others with noise."""
    if count == 0:
        yield images
    for number in range(count):
        yield shared_view(images, groups, low_pass=number == 0, noise=number > 0)


def shared_view(images: Tensor, groups: int, low_pass: bool, noise: bool) -> Tensor:
    """One random view of images [B,3,H,W] in [-1,1], the same for all of a group; B/groups images in a row are a group.

    A rotation up to 6 degrees, a scale of 0.92-1.08 and a shift up to 4 %; with `low_pass`, shrinking to 32-56 px and
    enlarging again; with `noise`, normal noise of sigma 0.06. Returns [B,3,H,W], not clipped.
    """
    per_group = len(images) // groups
    theta = _affine(groups).to(images).repeat_interleave(per_group, 0)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    if low_pass:
        size = int(torch.randint(LOW_PASS[0], LOW_PASS[1] + 1, ()))
        small = F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
        images = F.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)
    if noise:
        pattern = torch.randn(groups, *images.shape[1:]).to(images)
        images = images + NOISE * pattern.repeat_interleave(per_group, 0)
    return images


def _affine(groups: int) -> Tensor:
    """Random 2x3 matrices [groups,2,3]; drawn on the CPU, so that every device sees the same ones."""
    angle, scale, dx, dy = (2 * torch.rand(4, groups) - 1) * torch.tensor([math.radians(TURN), SCALE, SHIFT, SHIFT])[
        :, None
    ]
    cos, sin = torch.cos(angle) * (1 + scale), torch.sin(angle) * (1 + scale)
    return torch.stack([torch.stack([cos, -sin, dx], 1), torch.stack([sin, cos, dy], 1)], 1)
