"""A photo to be edited: every pixel as its file stores it, what networks see of it, and what is kept beside the pixels.

Legend: H x W pixels of the photo. A box is (left, top, right, bottom) in pixels of the photo. sRGB is what networks
see; a photo with a colour profile keeps colours of its own.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from where2edit.files.fingerprints import file_sha256
from where2edit.files.picture_reading import FullPicture, colour_profile, has_alpha, in_srgb, read_full, to_rgb
from where2edit.files.regular import shown

Box = tuple[int, int, int, int]
# Modes of Pillow whose colours are kept as they are, because RGB says the same.
EXACT = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa")


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as `read_photo` gives it: upright, at its full size."""

    name: str  # its path, as sentences show it
    sha256: str  # of the file
    pixels: np.ndarray  # uint8 [H,W,3], in the photo's own colours
    alpha: np.ndarray | None = None  # uint8 [H,W], how opaque each pixel is; None: all are
    profile: bytes | None = None  # ICC profile of its own colours; None: they are sRGB
    tags: Image.Exif = field(default_factory=Image.Exif)  # EXIF, as the file has it

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def whole(self) -> Box:
        """The box of all pixels."""
        return (0, 0, *self.size)

    def srgb(self, box: Box, size: tuple[int, int] | None = None) -> Image.Image:
        """The pixels of a box as networks see them: sRGB, clear parts white; resized with antialiasing to `size`."""
        left, top, right, bottom = box
        picture = Image.fromarray(np.ascontiguousarray(self.pixels[top:bottom, left:right]))
        if self.alpha is not None:
            picture.putalpha(Image.fromarray(np.ascontiguousarray(self.alpha[top:bottom, left:right])))
        if size is not None and size != picture.size:
            picture = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
        if self.profile is not None:
            picture.info["icc_profile"] = self.profile
        return to_rgb(picture, self.name)

    def with_pixels(self, pixels: np.ndarray) -> Photo:
        """The same photo with other pixels, uint8 [H,W,3] in its own colours. Raises ValueError for another shape."""
        if pixels.shape != self.pixels.shape or pixels.dtype != np.uint8:
            got = f"{pixels.dtype} {list(pixels.shape)}"
            raise ValueError(f"pixels of {self.name} are uint8 {list(self.pixels.shape)}, got {got}")
        return replace(self, pixels=pixels)


def own_colours(photo: Photo, srgb: np.ndarray) -> np.ndarray:
    """sRGB colours, uint8 [h,w,3], in the photo's own."""
    if photo.profile is None:
        return srgb
    own = ImageCms.ImageCmsProfile(io.BytesIO(photo.profile))
    picture = ImageCms.profileToProfile(Image.fromarray(srgb), ImageCms.createProfile("sRGB"), own, outputMode="RGB")
    return np.asarray(picture)


def read_photo(path: str | Path) -> Photo:
    """Read a picture file as a photo to edit: upright, every pixel, with its profile, its tags and its alpha.

    Black and white, grey and palettes become RGB, which says the same. 16 bits, CMYK and grey with a profile of its own
    become 8-bit sRGB, and a warning says so. Raises ValueError as `read_picture` does: for what is no whole PNG, JPEG,
    WebP, TIFF, BMP or GIF, for animations, too many pixels and pixels without a known range.
    """
    own, profile, tags, unlike = read_full(path, "photo", _colours)
    name = f"the photo {shown(path)}"
    if unlike:
        becomes = "RGB of 8 bits in its own colours" if profile else "sRGB of 8 bits"
        warnings.warn(f"{name} is a picture {unlike}: it is edited and written as {becomes}", stacklevel=2)
    pixels = np.array(own)
    return Photo(
        name=name,
        sha256=file_sha256(path),
        pixels=np.ascontiguousarray(pixels[..., :3]),
        alpha=np.ascontiguousarray(pixels[..., 3]) if own.mode == "RGBA" else None,
        profile=profile,
        tags=tags,
    )


def _colours(full: FullPicture) -> tuple[Image.Image, bytes | None, Image.Exif, str]:
    """The picture as RGB or RGBA, the profile of these colours, its tags; and how the file differs, if it does."""
    picture = full.picture
    if picture.mode not in EXACT:
        return to_rgb(picture, "it"), None, full.tags, f"with pixels of mode '{picture.mode}'"
    unlike = "with 16 bits a channel" if full.deep else ""
    own = picture.convert("RGBA" if has_alpha(picture) else "RGB")
    grey = picture.mode == "L" and own.mode == "RGB"
    profile = colour_profile(picture if grey else own)
    if profile is None:
        return own, None, full.tags, unlike
    if not grey and _leads_back(profile):
        return own, picture.info["icc_profile"], full.tags, unlike
    return in_srgb(picture if grey else own), None, full.tags, "with a profile of its own"


def _leads_back(profile: ImageCms.ImageCmsProfile) -> bool:
    """Whether colours can be turned into those of a profile; those of some scanners only lead away from it."""
    try:
        ImageCms.buildTransform(ImageCms.createProfile("sRGB"), profile, "RGB", "RGB")
    except ImageCms.PyCMSError:
        return False
    return True
