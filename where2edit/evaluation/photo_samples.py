"""The photos of the table `photos`: their largest faces, or the astronaut of scikit-image."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from where2edit.files.fingerprints import digest, tensor_sha256
from where2edit.files.folders import list_pictures
from where2edit.files.regular import shown
from where2edit.photos.alignment import Alignment
from where2edit.photos.faces import choose
from where2edit.photos.photo import Photo, read_photo

ADVICE = "give photos that show a face, or a folder of them, with --photos"


@dataclass(frozen=True)
class PhotoSample:
    """One face in one photo; the photo itself is read when it is needed, since many would fill the memory."""

    name: str  # for people
    read: Callable[[], Photo]
    sha256: str  # of the photo's file
    alignment: Alignment

    @property
    def key(self) -> str:
        """A digest of the photo and of where its face lies."""
        return digest([self.sha256, self.alignment.centre, self.alignment.half])


def photo_samples(paths: Sequence[Path] | None = None, most: int | None = None) -> list[PhotoSample]:
    """The first `most` photos (None: all) of files and folders; None: one of scikit-image, which may be missing.

    A photo that cannot be read or shows no face that can be edited is left out, and a warning says why; so is one that
    is there twice. Raises ValueError for a path without a file, and where no photo is left.
    """
    readers = (
        [("astronaut", _astronaut)]
        if paths is None
        else [(path.stem, partial(read_photo, path)) for path in _files(paths)]
    )
    found: dict[str, PhotoSample] = {}
    for name, read in readers:
        if len(found) == most:
            break
        try:
            photo = read()
            sample = PhotoSample(name, read, photo.sha256, Alignment.of(choose(photo)[0].points))
        except ValueError as error:
            if paths is None:
                raise
            warnings.warn(f"left out: {error}", stacklevel=2)
        else:
            found.setdefault(sample.key, sample)
    if not found:
        raise ValueError(
            f"the table photos needs a photo, and {len(readers)} were found of which none can be used; {ADVICE}"
        )
    return list(found.values())


def _files(paths: Sequence[Path]) -> list[Path]:
    """The picture files that are named or lie below folders. Raises ValueError for a path with nothing there."""
    for path in paths:
        if not path.exists():
            raise ValueError(f"--photos {shown(path)} is not there; {ADVICE}")
    return [file for path in paths for file in (list_pictures(path) if path.is_dir() else [path])]


def _astronaut() -> Photo:
    """The portrait of Eileen Collins by NASA, in the public domain. Raises ValueError without scikit-image."""
    try:
        from skimage import data
    except ImportError:
        raise ValueError(f"the table photos has no photo without scikit-image; {ADVICE}") from None
    pixels = np.ascontiguousarray(data.astronaut())
    return Photo("scikit-image's astronaut", tensor_sha256(torch.from_numpy(pixels)), pixels)
