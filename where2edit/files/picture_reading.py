"""The door for pictures from outside: what a file says of itself is checked before its pixels are decoded.

Six formats are read, told by their content. Pillow knows forty more, some of which start other programs (for a file
with the content of an EPS, whatever its name, Ghostscript).
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from where2edit.files.regular import regular_file, shown

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
NAMES = "PNG, JPEG, WebP, TIFF, BMP or GIF"
MOST_BYTES = 1 << 29
MOST_PIXELS, MOST_SIDE = 120_000_000, 60_000  # of a file; more are refused before they are decoded
KEPT_PIXELS = 4096**2  # larger pictures are shrunk while they are read: no network looks at more
WHITE = (255, 255, 255, 255)
# The modes of Pillow that a colour profile is for, by the kind of colours that it names itself.
PROFILED = {"RGB": ("RGB", "RGBA"), "GRAY": ("L",), "CMYK": ("CMYK",)}

Read = TypeVar("Read")


def read_picture(path: str | Path, what: str = "picture") -> Image.Image:
    """Read a picture file as 8-bit sRGB: upright as its camera says, colours as its profile says, clear parts white.

    One of more than KEPT_PIXELS is shrunk. Raises ValueError for what is no whole picture in one of FORMATS, for
    animations, and for too many pixels; `what` says what the file was wanted for.
    """
    return _read(path, what, lambda file: to_rgb(_upright(_decoded(_opened(file), KEPT_PIXELS)), "it"))


def read_as_stored(path: str | Path, what: str = "picture") -> Image.Image:
    """Read a picture file upright, but with the colours and the transparency that are stored. Raises ValueError too."""
    return _read(path, what, lambda file: _upright(_decoded(_opened(file), KEPT_PIXELS)))


@dataclass(frozen=True)
class FullPicture:
    """Every pixel of a picture file, and what stands beside them."""

    picture: Image.Image  # upright, with the colours and the transparency that are stored
    tags: Image.Exif  # of its camera
    deep: bool  # whether the file has 16 bits for each channel, of which Pillow reads 8


def read_full(path: str | Path, what: str, convert: Callable[[FullPicture], Read]) -> Read:
    """Read a picture file as `read_as_stored` does, but every pixel of it, and convert it. Raises ValueError too."""

    def full(file: BinaryIO) -> Read:
        opened = _opened(file)
        deep = ";16" in str(opened.tile) and not opened.mode.startswith("I")
        picture = _decoded(opened, MOST_PIXELS)
        tags = _tags(picture)  # of the picture as it is stored: a turned copy of a TIFF has none
        return convert(FullPicture(_upright(picture), tags, deep))

    return _read(path, what, full)


def _read(path: str | Path, what: str, convert: Callable[[BinaryIO], Read]) -> Read:
    path = regular_file(path, what, MOST_BYTES)
    try:
        if path.stat().st_size == 0:
            raise UnidentifiedImageError  # what the system offers as an empty file may never answer
        with path.open("rb") as file:
            return convert(file)
    except UnidentifiedImageError:
        reason = "its content is of another kind, or damaged"
    except Exception as error:  # a decoder raises anything when it meets a damaged file
        reason = str(error)[:120] or type(error).__name__
    raise ValueError(f"{shown(path)} cannot be read as a {what} ({reason}); give a whole {NAMES} file")


def _opened(file: BinaryIO) -> Image.Image:
    """The picture of a file, its pixels not decoded yet. Raises ValueError for one that is too large or moves."""
    picture = Image.open(file, formats=FORMATS)
    width, height = picture.size
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        limits = f"at most {MOST_SIDE} on a side and {MOST_PIXELS} in all are read"
        raise ValueError(f"it is {width}x{height} px; {limits}")
    # The second picture of an MPO, which phones write as .jpg, is a small copy or a depth map.
    if picture.format != "MPO" and getattr(picture, "is_animated", False):
        raise ValueError("it holds several pictures; give a single one")
    if picture.format == "PNG":
        # Decoding a PNG sees neither a wrong checksum of its pixels nor a missing end.
        picture.verify()
        file.seek(0)
        picture = Image.open(file, formats=("PNG",))
    return picture


def _decoded(picture: Image.Image, most: int) -> Image.Image:
    """The picture with its pixels, at most `most` of them; a larger JPEG is decoded at a fraction of its size."""
    scale = math.sqrt(most / (picture.width * picture.height))
    if scale >= 1:
        picture.load()
        return picture
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture.draft(picture.mode, size)
    picture.load()
    # Numbers that are labels must not be mixed.
    mixed = picture.mode in ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr")
    return picture.resize(size, Image.Resampling.LANCZOS if mixed else Image.Resampling.NEAREST)


def _upright(picture: Image.Image) -> Image.Image:
    """The picture as its camera was held."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # tags that cannot be read say nothing, and the pixels are whole
        return picture


def _tags(picture: Image.Image) -> Image.Exif:
    """The EXIF tags of a picture, read while its file is open; none where they cannot be read."""
    try:
        tags = picture.getexif()
        for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            tags.get_ifd(part)
        return tags
    except Exception:  # as above
        return Image.Exif()


def has_alpha(picture: Image.Image) -> bool:
    """Whether the picture says how clear its pixels are."""
    return picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info


def to_rgb(picture: Image.Image, name: str) -> Image.Image:
    """Any mode as 8-bit sRGB, clear parts white.

    16-bit grey is scaled (a plain conversion would clip it). Raises ValueError for float pictures.
    """
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture).astype(np.float64) / 257).round().astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError(f"{name} has pixels of mode '{picture.mode}' without a known range; save it with 8 bits")
    if has_alpha(picture):
        picture = in_srgb(picture.convert("RGBA"))
        return Image.alpha_composite(Image.new("RGBA", picture.size, WHITE), picture).convert("RGB")
    return in_srgb(picture).convert("RGB")


def colour_profile(picture: Image.Image) -> ImageCms.ImageCmsProfile | None:
    """The colour profile that a picture embeds, where it can be read and is for colours of the picture's mode."""
    embedded = picture.info.get("icc_profile")
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded)) if embedded else None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    fits = profile is not None and picture.mode in PROFILED.get(profile.profile.xcolor_space.strip(), ())
    return profile if fits else None


def in_srgb(picture: Image.Image) -> Image.Image:
    """The colours of an embedded profile in sRGB, where the profile can be read and is for such colours."""
    if picture.mode == "P" and picture.info.get("icc_profile"):
        picture = picture.convert("RGB")
    profile = colour_profile(picture)
    if profile is None:
        return picture
    try:
        out = "RGBA" if picture.mode == "RGBA" else "RGB"
        picture = ImageCms.profileToProfile(picture, profile, ImageCms.createProfile("sRGB"), outputMode=out)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture  # as every viewer shows it
    picture.info.pop("icc_profile", None)  # they are sRGB now
    return picture
