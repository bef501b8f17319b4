"""Images read on another grid, turned and scaled, without aliasing: the one way into a face and back into the photo.

Legend: h x w pixels of what is read. Places are x, y in pixels, continuous: pixel i reaches from i to i + 1. A map is a
float64 array [2,3] that takes the place (x, y, 1) of what is written to the place of what is read.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Map = np.ndarray
ROWS = 256  # written at once, so that a large photo costs no more memory than a small one


def inverse(map_: Map) -> Map:
    """The map back."""
    linear = np.linalg.inv(map_[:, :2])
    return np.concatenate([linear, -linear @ map_[:, 2:]], 1)


def shifted(map_: Map, left: float, top: float) -> Map:
    """The map of what is written from (left, top) on."""
    return np.concatenate([map_[:, :2], map_ @ [[left], [top], [1.0]]], 1)


def from_corner(map_: Map, left: float, top: float) -> Map:
    """The map to places in that part of what is read that begins at (left, top)."""
    return map_ - np.array([[0, 0, left], [0, 0, top]])


def reach(map_: Map, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest x, y that a map reads for a grid of `size` pixels a side."""
    corners = map_ @ np.array([[0, size, size, 0], [0, 0, size, size], [1, 1, 1, 1]])
    return corners.min(1), corners.max(1)


def pixels_per_pixel(map_: Map) -> float:
    """Pixels of what is read on the way from one written pixel to the next."""
    return math.sqrt(abs(np.linalg.det(map_[:, :2])))


def shrunk_size(size: tuple[int, int], map_: Map) -> tuple[int, int]:
    """What an image of `size` (any order of its sides) is shrunk to before a map that skips pixels reads it."""
    scale = max(1.0, pixels_per_pixel(map_))
    return max(1, math.ceil(size[0] / scale)), max(1, math.ceil(size[1] / scale))


def resample(image: Tensor, map_: Map, size: tuple[int, int]) -> Tensor:
    """Read an image [1,C,h,w] on the grid of a map -> [1,C,H,W], `size` being (H, W); it is 0 outside.

    Bicubic; where the grid is coarser than the image, which then is shrunk with antialiasing first.
    """
    height, width = image.shape[2:]
    small = shrunk_size((height, width), map_)
    if small != (height, width):
        image = F.interpolate(image, small, mode="bicubic", antialias=True, align_corners=False)
    scale = np.array([[small[1] / width], [small[0] / height]])
    bands = range(0, size[0], ROWS)
    parts = [sample(image, shifted(map_ * scale, 0, top), (min(ROWS, size[0] - top), size[1])) for top in bands]
    return torch.cat(parts, 2)


def sample(image: Tensor, map_: Map, size: tuple[int, int]) -> Tensor:
    """Read an image [1,C,h,w] at the centres of the grid of a map -> [1,C,H,W], bicubic; it is 0 outside."""
    x, y = places(map_, size)
    height, width = image.shape[2:]
    grid = np.stack([x * (2 / width) - 1, y * (2 / height) - 1], -1)
    return F.grid_sample(image, torch.from_numpy(grid).to(image)[None], mode="bicubic", align_corners=False)


def places(map_: Map, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Where a map takes the centre of each pixel of a grid of (H, W) pixels: x and y, float64 [H,W]."""
    rows, columns = np.arange(size[0])[:, None] + 0.5, np.arange(size[1])[None] + 0.5
    (a, b, c), (d, e, f) = map_
    return a * columns + b * rows + c, d * columns + e * rows + f
