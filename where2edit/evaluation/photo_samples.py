"""The photos of the table `photos`: their largest faces, or the astronaut of scikit-image."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from where2edit.files.fingerprints import digest
from where2edit.files.folders import list_pictures
from where2edit.files.regular import shown
from where2edit.photos.alignment import Alignment
from where2edit.photos.faces import choose
from where2edit.photos.photo import Photo, read_photo

ADVICE = "give photos that show a face, or a folder of them, with --photos"


@dataclass(frozen=True)
class PhotoSample:
    """One face in one photo; the photo itself is read when it is needed, since many would fill the memory."""

    path: Path
    sha256: str  # of the file
    alignment: Alignment

    @property
    def name(self) -> str:
        """What people are shown."""
        return self.path.stem

    @property
    def key(self) -> str:
        """A digest of the photo and of where its face lies."""
        return digest([self.sha256, self.alignment.centre, self.alignment.half])

    def read(self) -> Photo:
        """The photo. Raises ValueError where it is gone."""
        return read_photo(self.path)


def photo_samples(paths: Sequence[Path] | None = None, most: int | None = None) -> list[PhotoSample]:
    """The first `most` photos (None: all) of files and folders; None: one of scikit-image, which may be missing.

    One that cannot be read or shows no face that can be edited is left out, and a warning says why; of several with the
    same content the first one counts. Raises ValueError for a path with nothing there, and where no photo is left.
    """
    files = [_astronaut()] if paths is None else _files(paths)
    found: dict[str, PhotoSample] = {}
    for file in files:
        if len(found) == most:
            break
        try:
            photo = read_photo(file)
            sample = PhotoSample(file, photo.sha256, Alignment.of(choose(photo)[0].points))
        except ValueError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
        else:
            found.setdefault(sample.key, sample)
    if not found:
        said = f"the table photos needs a photo, and of {len(files)} that were found none can be used"
        raise ValueError(f"{said}; {ADVICE}")
    return list(found.values())


def _files(paths: Sequence[Path]) -> list[Path]:
    """The picture files that are named or lie below folders. Raises ValueError for a path with nothing there."""
    for path in paths:
        if not path.exists():
            raise ValueError(f"--photos {shown(path)} is not there; {ADVICE}")
    return [file for path in paths for file in (list_pictures(path) if path.is_dir() else [path])]


def _astronaut() -> Path:
    """The portrait of Eileen Collins by NASA, in the public domain. Raises ValueError without scikit-image."""
    package = find_spec("skimage")
    file = Path(package.origin if package and package.origin else "").parent / "data" / "astronaut.png"
    if not file.is_file():
        raise ValueError(f"the table photos has no photo without scikit-image; {ADVICE}")
    return file
