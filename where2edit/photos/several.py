"""Several faces of one photo, each edited in its own crop: pasted one after the other, with one certificate for all.

Legend: R pixels a side of a crop. Images are [1,3,R,R] in [-1,1].
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from where2edit.photos.alignment import Alignment
from where2edit.photos.paste import PhotoCertificate, allowed_box, allowed_in_photo, certify, paste
from where2edit.photos.photo import Photo


@dataclass(frozen=True, eq=False)
class EditedCrop:
    """What an edit made of the crop of a face."""

    alignment: Alignment
    source: Tensor  # what the generator makes of the photo
    edited: Tensor
    allowed: Tensor  # bool [1,1,R,R], what the edit may touch


def paste_all(photo: Photo, crops: Iterable[EditedCrop]) -> tuple[Photo, PhotoCertificate]:
    """The photo with the edits of several faces, and what they touched together. Raises ValueError as `paste` does."""
    inside, edited = np.zeros(photo.pixels.shape[:2], bool), photo
    for each in crops:
        pixels, _ = paste(edited, each.alignment, each.source, each.edited, each.allowed)
        edited = photo.with_pixels(pixels)
        box = allowed_box(photo, each.alignment, each.allowed)
        if box is not None:
            left, top, right, bottom = box
            inside[top:bottom, left:right] |= allowed_in_photo(each.alignment, each.allowed, box)
    return edited, certify(photo.pixels, edited.pixels, inside, photo.whole)
