"""Back into the photo: what an edit changed in the crop of a face is added to the photo, and nothing else is touched.

Legend: R pixels a side of the crop, H x W of the photo, h x w of the box of the photo around the face. Images are
[1,3,R,R] in [-1,1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.editing.masks import grow_along
from where2edit.photos.alignment import Alignment, box_around, unalign
from where2edit.photos.photo import Box, Photo, own_colours
from where2edit.photos.resampling import pixels_per_pixel, places, shifted

FEATHER = 1 / 128  # of the crop's side: over twice as much the change grows from 0 at the rim to its full size
REACH = 2  # pixels of the photo that the resampling blurs a rim over; the feather is as wide
ROWS = 128  # compared at once


@dataclass(frozen=True, kw_only=True)
class PhotoCertificate:
    """Which pixels of a photo an edit touched, measured on the photo before and after."""

    pixels: int  # of the photo
    allowed: int  # that the edit may touch
    changed: int  # that differ at all
    leak: int  # largest difference of a channel, of 255, among those that it may not touch; 0: none of them differs

    @property
    def local(self) -> bool:
        return self.leak == 0


def paste(
    photo: Photo, alignment: Alignment, source: Tensor, edited: Tensor, allowed: Tensor
) -> tuple[np.ndarray, PhotoCertificate]:
    """Add `edited - source`, two crops [1,3,R,R], to a photo -> its pixels uint8 [H,W,3] in its own colours.

    `allowed`, bool [1,1,R,R], is what the edit may touch. A pixel of the photo may change if its centre lies in there;
    all others keep their bytes, and so do clear ones. `source` is what the generator makes of the photo: where both
    crops are equal, the photo stays as it is. Raises ValueError for other shapes and for values that are not finite.
    """
    _check(source, edited, allowed)
    box = allowed_box(photo, alignment, allowed)
    if box is None:
        return photo.pixels.copy(), certify(photo.pixels, photo.pixels, np.zeros((0, 0), bool), (0, 0, 0, 0))
    left, top, right, bottom = box
    inside = allowed_in_photo(alignment, allowed, box)
    change = unalign((edited.float() - source) * feather(allowed, alignment).to(edited.device), alignment, box)
    levels = change[0].permute(1, 2, 0).cpu() * 127.5
    seen = np.asarray(photo.srgb(box))
    aim = (torch.from_numpy(seen.copy()) + levels).round().clamp(0, 255).byte().numpy()
    pixels = photo.pixels.copy()
    pixels[top:bottom, left:right] = _written(photo, box, seen, aim, inside)
    return pixels, certify(photo.pixels, pixels, inside, box)


def allowed_box(photo: Photo, alignment: Alignment, allowed: Tensor) -> Box | None:
    """The box of the photo that holds all pixels that may change; None where there are none."""
    rows, columns = (allowed[0, 0].any(dim).nonzero() for dim in (1, 0))
    if not len(rows):
        return None
    x, y = ((int(each.min()), int(each.max()) + 1) for each in (columns, rows))
    corners = np.array([[x[0], x[1], x[1], x[0]], [y[0], y[0], y[1], y[1]], [1, 1, 1, 1]])
    return box_around((alignment.to_photo(allowed.shape[-1]) @ corners).T, photo)


def allowed_in_photo(alignment: Alignment, allowed: Tensor, box: Box) -> np.ndarray:
    """The pixels of a box of the photo whose centre lies in `allowed`, bool [1,1,R,R] of the crop -> bool [h,w]."""
    left, top, right, bottom = box
    size = allowed.shape[-1]
    x, y = places(shifted(alignment.to_crop(size), left, top), (bottom - top, right - left))
    column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    over = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    grid = allowed[0, 0].cpu().numpy()
    return over & grid[row.clip(0, size - 1), column.clip(0, size - 1)]


def feather(allowed: Tensor, alignment: Alignment) -> Tensor:
    """How much of the change is taken, [1,1,R,R] in [0,1]: all of it inside, less towards the rim, 0 outside.

    It is so wide that resampling brings next to nothing past the rim; in a narrower area it is narrower.
    """
    size = allowed.shape[-1]
    width = max(round(FEATHER * size), math.ceil(REACH * pixels_per_pixel(alignment.to_crop(size))))
    while width:
        reach = 2 * width + 1
        # What is outside grows by the width (the crop's rim counts as outside); a mean over as much then leads to it.
        outside = F.pad((~allowed).float(), [width] * 4, value=1.0)
        core = 1 - grow_along(grow_along(outside, width, 3), width, 2)[..., width:-width, width:-width]
        if core.any():
            along = F.avg_pool2d(core, (1, reach), stride=1, padding=(0, width))
            return F.avg_pool2d(along, (reach, 1), stride=1, padding=(width, 0)) * allowed
        width //= 2
    return allowed.float()


def _written(photo: Photo, box: Box, seen: np.ndarray, aim: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The own colours of a box once what is seen there, sRGB uint8 [h,w,3], has become the aim, where it may change.

    What is added is the difference of both in the photo's own colours: they have more than sRGB, which stays.
    """
    left, top, right, bottom = box
    before = photo.pixels[top:bottom, left:right]
    touched = inside & (aim != seen).any(2)
    if photo.alpha is not None:
        touched &= photo.alpha[top:bottom, left:right] > 0
    added = own_colours(photo, aim).astype(np.int16) - own_colours(photo, seen)
    after = (before + added).clip(0, 255).astype(np.uint8)
    return np.where(touched[..., None], after, before)


def certify(before: np.ndarray, after: np.ndarray, inside: np.ndarray, box: Box) -> PhotoCertificate:
    """Compare all pixels of a photo before and after, uint8 [H,W,3]; `inside`, bool [h,w] of the box, may differ."""
    left, top, right, bottom = box
    height, width = before.shape[:2]
    changed, leak = 0, 0
    for first in range(0, height, ROWS):
        rows = slice(first, min(first + ROWS, height))
        if np.array_equal(after[rows], before[rows]):
            continue
        difference = np.abs(after[rows].astype(np.int16) - before[rows]).max(2)
        changed += int(np.count_nonzero(difference))
        low, high = max(first, top), min(rows.stop, bottom)
        if low < high:
            part = difference[low - first : high - first, left:right]
            part[inside[low - top : high - top]] = 0
        leak = max(leak, int(difference.max()))
    return PhotoCertificate(pixels=height * width, allowed=int(inside.sum()), changed=changed, leak=leak)


def _check(source: Tensor, edited: Tensor, allowed: Tensor) -> None:
    size = source.shape[-1]
    shapes = [list(x.shape) for x in (source, edited, allowed)]
    if shapes != [[1, 3, size, size], [1, 3, size, size], [1, 1, size, size]] or allowed.dtype != torch.bool:
        raise ValueError(f"source and edited crop [1,3,R,R] and bool [1,1,R,R] needed, got {shapes}, {allowed.dtype}")
    if not (torch.isfinite(source).all() and torch.isfinite(edited).all()):
        raise ValueError("source or edited crop holds values that are not finite; the photo stays as it is")
