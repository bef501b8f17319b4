"""A mask that was painted over a photo, in the crop of a face.

Legend: R pixels a side of the crop.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from where2edit.files.mask_reading import CUT, painted
from where2edit.files.picture_reading import read_as_stored
from where2edit.files.regular import shown
from where2edit.photos.alignment import Alignment
from where2edit.photos.photo import Photo
from where2edit.photos.resampling import resample


def read_photo_mask(path: str | Path, photo: Photo) -> Tensor:
    """The mask picture at `path`, painted over a photo -> [1,1,h,w] in [0,1], of the photo's shape.

    Raises ValueError for a picture of another shape, and for what is no mask (files/mask_reading.py).
    """
    return painted(read_as_stored(path, "mask"), photo.size, f"the mask {shown(path)}", "the photo's size")


def mask_in_crop(mask: Tensor, photo: Photo, alignment: Alignment, size: int) -> Tensor:
    """A mask [1,1,h,w] over a whole photo in the crop of a face, [1,1,size,size] in [0,1]; 0 past the photo's rim."""
    scale = np.array([[mask.shape[3] / photo.size[0]], [mask.shape[2] / photo.size[1]]])
    seen = resample(mask, alignment.to_photo(size) * scale, (size, size)).clamp(0, 1)
    return seen.where(seen >= CUT, 0)  # next to a rim bicubic resampling overshoots by about as much
