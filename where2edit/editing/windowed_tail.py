"""The tail where the edit can be seen, and nowhere else: every other pixel is copied from the source image.

An edit reaches mask + halo (certificate.py). Around each part of the mask the tail runs on a window of the canvas that
is as much wider as the missing surroundings can reach in turn, so that what is kept of it equals the whole tail up to
rounding; at every enlargement the window shrinks to what the later sites still need.

Legend: B batch, r blend resolution, R output resolution. Masks are [B,1,r,r] in [0,1], images [B,3,R,R].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from where2edit.core.records import Source
from where2edit.editing.certificate import allowed_pixels
from where2edit.editing.mask_windows import needed, windows
from where2edit.editing.tail_layers import layered_step
from where2edit.generators.base import Canvas, Generator
from where2edit.generators.window import Window


def windowed_image(generator: Generator, source: Source, canvas: Canvas, after: str, mask: Tensor, halo: int) -> Tensor:
    """The image [B,3,R,R] of blended canvases that stand after site `after`, where the edits with `mask` reach.

    Everywhere else it is the source image, which the source must have. halo: that of the blend site.
    """
    assert source.image is not None
    image, cell = source.image.clone(), generator.resolution // mask.shape[-1]
    reach = math.ceil(halo / cell)
    for row in range(len(mask)):
        one = source.take(slice(row, row + 1))
        start = Canvas(*(None if x is None else x[row : row + 1] for x in (canvas.features, canvas.rgb)))
        for window in windows(mask[row, 0] > 0, reach):
            around = window.grown(reach)  # everything that reaches into the window
            allowed = window.crop(allowed_pixels(around.crop(mask[row : row + 1]), halo, cell), around)
            here, seen = window.crop(image[row : row + 1]), part(generator, one, start, after, window)
            here.copy_(torch.where(allowed, seen, here))
    return image


def part(generator: Generator, source: Source, canvas: Canvas, after: str, window: Window) -> Tensor:
    """What the whole tail after site `after` shows in a window, [1,3,h,w]: one canvas with its source."""
    for site in generator.after(after):
        if site.up == 2:
            canvas = canvas.crop(needed(generator, after, window, site))
        canvas = layered_step(generator, site, canvas, source)
        after = site.name
    return window.crop(generator.image(canvas), canvas.window)
