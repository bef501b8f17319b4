"""A picture read as a mask: where a user painted, whatever the tool, the format and the number of bits.

Legend: H x W pixels. Levels are grey values from 0 to 255.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from where2edit.files.picture_reading import has_alpha, read_as_stored
from where2edit.files.regular import shown

CUT = 0.1  # values below are noise of the black, such as JPEG leaves around edges
DARK, BRIGHT = 32, 224  # levels that may be meant as black and as white (video has 16 to 235)
ONE_COLOUR = 32  # levels by which paint of one colour may vary
COLOURED = 48  # levels between the channels of a pixel that is not grey
STRAY = 0.05  # share of the painted pixels that may have another colour
ASPECT = 0.02  # by which the sides of a mask may differ from the output's shape
# What a photograph has: at so many pixels a side, a share of grey pixels, and among them a share with texture, whose
# second differences, along rows and columns together, are above PHOTO_BEND.
PHOTO_SIZE, PHOTO_GREY, PHOTO_BEND, PHOTO_TEXTURE = 128, 0.35, 0.02, 0.16
ADVICE = "white is edited, black is kept"


def read_mask(path: str | Path, size: int) -> Tensor:
    """The mask picture at `path` for images of size x size -> [1,1,size,size] in [0,1], as `mask_of` reads it."""
    return mask_of(read_as_stored(path, "mask"), size, f"the mask {shown(path)}")


def mask_of(picture: Image.Image, size: int, name: str) -> Tensor:
    """A picture that someone painted as a mask for images of size x size -> [1,1,size,size] in [0,1].

    Where pixels are more or less clear, paint of one colour is the mask; else brightness is, black to white, where
    almost black counts as black. Bright paint of one colour on black is white, and so is the 1 of a map of 0 and 1.
    A square of another size is resized, and a warning says so. Raises ValueError, in which `name` stands, for another
    shape, a photograph, a map of several labels, and for what is black everywhere.
    """
    values = painted(picture, (size, size), name, "the output's size")
    height, width = values.shape[2:]
    if (width, height) == (size, size):
        return values
    warnings.warn(f"{name} has {width}x{height} px and is resized to {size}x{size}", stacklevel=3)
    return torch.nn.functional.interpolate(values, size=(size, size), mode="area")


def painted(picture: Image.Image, size: tuple[int, int], name: str, whose: str) -> Tensor:
    """How much of each pixel of a mask picture is painted, [1,1,H,W] in [0,1], at the picture's own size.

    size: width and height that it should have, which `whose` names; other pictures of this shape are taken too. Raises
    ValueError as `mask_of` does.
    """
    (width, height), (wide, high) = picture.size, size
    if abs(width * high - height * wide) > ASPECT * max(width * high, height * wide):
        raise ValueError(f"{name} is {width}x{height} px; it must have {whose}, {wide}x{high}, or its shape")
    scaled = _scaled(_levels(picture, name), name)
    _refuse_photograph(scaled, name)
    values = torch.from_numpy(scaled)[None, None]
    if values.max() < 1:
        warnings.warn(f"{name} edits by {float(values.max()):.0%} at most: white edits by 100%", stacklevel=4)
    return values


def _levels(picture: Image.Image, name: str) -> np.ndarray:
    """How much of each pixel is painted, float32 [H,W] in [0,255]."""
    if picture.mode[0] in "IF":
        return _numbers(np.asarray(picture, np.float64), name)
    if not has_alpha(picture):
        return _brightness(np.asarray(picture.convert("RGB"), np.float32), name)
    pixels = np.asarray(picture.convert("RGBA"), np.float32)
    colours, alpha = pixels[..., :3], pixels[..., 3]
    if alpha.min() == alpha.max() > 0:
        return _brightness(colours, name)  # as clear everywhere: it says nothing
    painted = colours[alpha > 127]
    if painted.size == 0 or np.ptp(painted, axis=0).max() <= ONE_COLOUR:
        return alpha
    return _brightness(colours * alpha[..., None] / 255, name)


def _numbers(values: np.ndarray, name: str) -> np.ndarray:
    """Pixels of 16 or 32 bits as levels. Raises ValueError where their range is not known."""
    low, high = values.min(), values.max()
    if not (np.isfinite(values).all() and low >= 0 and high <= 65535):
        raise ValueError(f"{name} has values from {low:g} to {high:g}; save it with 8 bits, {ADVICE}")
    whole = np.equal(values, values.round()).all()
    full = 1 if high <= 1 and not whole else 255 if high <= 255 else 65535
    return (values * (255 / full)).astype(np.float32)


def _brightness(colours: np.ndarray, name: str) -> np.ndarray:
    """Colours [H,W,3] as levels; paint of one colour on black counts as white. Raises ValueError for several."""
    chroma = np.ptp(colours, axis=2)
    if (chroma > COLOURED).mean() < 0.001:
        return colours @ np.array([0.299, 0.587, 0.114], np.float32)
    bright = colours.max(axis=2) > COLOURED
    painted, in_colour = colours[bright], chroma[bright] > COLOURED
    paint = painted.sum(axis=0)
    paint = paint / np.linalg.norm(paint)  # the direction from black to the paint
    along = painted @ paint
    stray = np.linalg.norm(painted - along[:, None] * paint, axis=1) > COLOURED
    if stray.mean() > STRAY or stray[in_colour].mean() > STRAY:
        said = "has several colours, as a photograph or a map of several labels has"
        raise ValueError(f"{name} {said}; paint one mask, {ADVICE}")
    return np.clip(colours @ paint * (255 / np.percentile(along, 95)), 0, 255)


def _refuse_photograph(values: np.ndarray, name: str) -> None:
    """Raise ValueError for a grey photograph: much of it is neither dark nor bright, and has texture.

    Masks are flat or, where they are soft, change evenly: their second differences are small.
    """
    size = tuple(min(side, PHOTO_SIZE) for side in reversed(values.shape))
    x = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX))
    centre = x[1:-1, 1:-1]
    bend = np.abs(x[2:, 1:-1] + x[:-2, 1:-1] - 2 * centre) + np.abs(x[1:-1, 2:] + x[1:-1, :-2] - 2 * centre)
    grey = (centre > CUT) & (centre < 1 - CUT)
    if grey.any() and grey.mean() > PHOTO_GREY and (bend[grey] > PHOTO_BEND).mean() > PHOTO_TEXTURE:
        raise ValueError(f"{name} looks like a photograph; paint a mask, {ADVICE}")


def _scaled(levels: np.ndarray, name: str) -> np.ndarray:
    """Levels -> [0,1]: what is meant as black becomes 0, and what is meant as white 1.

    Raises ValueError where nothing is painted, and for a map of more labels than 0 and 1.
    """
    low = levels.min() if levels.min() <= DARK else 0
    span = levels.max() - low
    if span < 1 or (span < DARK and len(np.unique(levels.round())) > 2):
        what = f"holds levels from {levels.min():.0f} to {levels.max():.0f} of 255 only"
        said = "is black everywhere" if span < 5 else f"{what}, black or a map of several labels"
        raise ValueError(f"{name} {said}, so that nothing would be edited; {ADVICE}")
    if DARK <= span < BRIGHT - low:
        span = 255 - low  # grey is meant as grey
    values = (levels - low) / span
    return np.where(values < CUT, 0, values).astype(np.float32)
