"""The square in which FFHQ frames a face (Karras et al. 2019, arXiv 1812.04948), cut out of a photo, and the way back.

Legend: R pixels a side of the crop, H x W of the photo. Images are [1,C,R,R], colours in [-1,1]; points are x, y in
pixels of the photo, continuous: pixel i reaches from i to i + 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter
from torch import Tensor

from where2edit.files.pictures import to_image
from where2edit.photos.photo import Box, Photo
from where2edit.photos.resampling import (
    Map,
    from_corner,
    inverse,
    pixels_per_pixel,
    reach,
    resample,
    sample,
    shifted,
    shrunk_size,
)

DOWN = 0.1  # from the eyes to the middle of the square, in eye-to-mouth distances
EYES, MOUTH = 2.0, 1.8  # half the side of the square: in distances of the eyes, and from the eyes to the mouth
# Past the photo's rim its reflection is blurred, and over this share of the side it fades to the median colour.
FADE, BLUR = 0.3, 0.02
KERNEL = 3  # pixels around a place that are read for it


@dataclass(frozen=True)
class Alignment:
    """A square in a photo, turned with the face in it."""

    centre: tuple[float, float]  # x, y
    half: tuple[float, float]  # from the centre to the middle of its right side

    @classmethod
    def of(cls, points: np.ndarray) -> Alignment:
        """The square of a face with these landmarks [5,2]: left eye, right eye, nose, left and right mouth corner."""
        points = np.asarray(points, np.float64)
        if points.shape != (5, 2) or not np.isfinite(points).all():
            raise ValueError(f"a face has five landmarks x, y, finite [5,2]; got {list(points.shape)}")
        across = points[1] - points[0]
        eyes, mouth = points[:2].mean(0), points[3:].mean(0)
        down = mouth - eyes
        axis = across - [-down[1], down[0]]  # the line of the eyes, and the face's height turned by 90 degrees
        length = float(np.hypot(*axis))
        if length < 1e-6:
            raise ValueError("the landmarks lie in one point, so that they frame no face")
        axis *= max(EYES * np.hypot(*across), MOUTH * np.hypot(*down)) / length
        centre = eyes + DOWN * down
        return cls((float(centre[0]), float(centre[1])), (float(axis[0]), float(axis[1])))

    @property
    def side(self) -> float:
        """Pixels of the photo along a side of the square."""
        return 2 * math.hypot(*self.half)

    def to_photo(self, size: int) -> Map:
        """The map [2,3] from places in a crop of `size` pixels a side to those in the photo."""
        (x, y), (a, b) = self.centre, self.half
        linear = np.array([[a, -b], [b, a]]) * (2 / size)
        return np.concatenate([linear, [[x - a + b], [y - b - a]]], 1)

    def to_crop(self, size: int) -> Map:
        """The map [2,3] from places in the photo to those in a crop of `size` pixels a side, the inverse of it."""
        return inverse(self.to_photo(size))

    def corners(self) -> np.ndarray:
        """The corners of the square [4,2], top left first, then as a clock goes."""
        return (self.to_photo(1) @ [[0, 1, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1]]).T

    def box(self, photo: Photo, margin: int = 0) -> Box:
        """The smallest box of the photo with all of the square that lies in it, and `margin` pixels around.

        Raises ValueError where no pixel of the photo lies in it.
        """
        box = box_around(self.corners(), photo, margin)
        if box is None:
            raise ValueError(f"the square at {self.centre[0]:.0f}, {self.centre[1]:.0f} lies outside of {photo.name}")
        return box


def box_around(points: np.ndarray, photo: Photo, margin: int = 0) -> Box | None:
    """The smallest box of pixels of the photo around points [N,2], and `margin` more; None where they lie outside."""
    low = np.maximum(np.floor(points.min(0)) - margin, 0)
    high = np.minimum(np.ceil(points.max(0)) + margin, photo.size)
    return (int(low[0]), int(low[1]), int(high[0]), int(high[1])) if (low < high).all() else None


def crop(photo: Photo, alignment: Alignment, size: int) -> Tensor:
    """The face in the square of a photo -> [1,3,size,size] in [-1,1], antialiased; past the rim as FFHQ has it.

    There the photo is reflected, blurred and faded. Unlike FFHQ, no pixel inside the photo is blurred.
    """
    map_ = alignment.to_photo(size)
    margin = math.ceil(KERNEL * max(1.0, pixels_per_pixel(map_)))
    left, top, right, bottom = box = alignment.box(photo, margin)
    width, height = shrunk_size((right - left, bottom - top), map_)
    shrink = np.array([width / (right - left), height / (bottom - top)])
    small = photo.srgb(box, (width, height))
    map_ = from_corner(map_, left, top) * shrink[:, None]
    low, high = reach(map_, size)
    gaps = (*(-low), *(high - small.size))
    rim = [max(0, math.ceil(gap) + KERNEL) for gap in gaps]
    if any(rim):
        small = _continued(small, rim, alignment.side * float(shrink.mean()))
        map_ = from_corner(map_, -rim[0], -rim[1])
    return sample(to_image(small), map_, (size, size)).clamp(-1, 1)


def _continued(picture: Image.Image, rim: list[int], side: float) -> Image.Image:
    """A picture with its reflection around it, `rim` pixels left, above, right and below, for a square of `side`."""
    left, top, right, bottom = rim
    pixels = np.pad(np.asarray(picture), ((top, bottom), (left, right), (0, 0)), "reflect")
    x, y = np.arange(pixels.shape[1])[None], np.arange(pixels.shape[0])[:, None]
    along, down = (
        np.maximum(left - x, x - (left + picture.width - 1)),
        np.maximum(top - y, y - (top + picture.height - 1)),
    )
    away = np.maximum(np.maximum(along, down), 0) / max(FADE * side, *rim)
    share = away.astype(np.float32)[..., None]
    blurred = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(BLUR * side)), np.float32)
    out = pixels + (blurred - pixels) * np.minimum(3 * share, 1)
    out += (np.median(pixels, (0, 1)).astype(np.float32) - out) * np.minimum(share, 1)
    return Image.fromarray(out.round().clip(0, 255).astype(np.uint8))


def unalign(values: Tensor, alignment: Alignment, box: Box) -> Tensor:
    """What lies over a crop, [1,C,R,R], read at the pixels of a box of the photo -> [1,C,h,w]; 0 outside the square.

    Antialiased where the face is smaller in the photo than in the crop, bicubic where it is larger.
    """
    left, top, right, bottom = box
    map_ = shifted(alignment.to_crop(values.shape[-1]), left, top)
    return resample(values, map_, (bottom - top, right - left))
