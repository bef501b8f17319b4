"""Photos that several tests make: one real face in the public domain, and pictures without any."""

from functools import cache

import numpy as np
import torch
from PIL import Image, ImageFilter

from where2edit.photos.alignment import Alignment
from where2edit.photos.photo import Photo

# The five landmarks of the astronaut as the closer look has them, to half a pixel.
ASTRONAUT = np.array([[204.2, 101.0], [246.5, 103.3], [223.9, 129.0], [201.8, 139.6], [245.0, 141.8]])


@cache
def astronaut():
    """512 x 512, a face of 116 px in it (NASA, public domain)."""
    from skimage import data

    return Image.fromarray(data.astronaut())


def photo_of(picture, **parts):
    return Photo("the photo x.png", "", np.array(picture.convert("RGB")), **parts)


@cache
def smooth(width, height, seed=0):
    """Colours that change slowly: they can be resampled with next to no loss."""
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(40, 216, (height // 20 + 2, width // 20 + 2, 3), np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(3))


def square(x, y, side, degrees=0.0):
    """The alignment of a square by its centre, side and turn."""
    angle = np.radians(degrees)
    return Alignment((x, y), (side / 2 * np.cos(angle), side / 2 * np.sin(angle)))


def disc(size, radius, x=0.5, y=0.5):
    """An allowed area, bool [1,1,size,size]: a disc, places and radius in shares."""
    places = (torch.arange(size) + 0.5) / size
    return ((places[None] - x) ** 2 + (places[:, None] - y) ** 2 < radius**2)[None, None]
