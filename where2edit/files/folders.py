"""Which files of a folder are meant: one lister for folders of pictures and of captions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from where2edit.files.pictures import load_image
from where2edit.files.regular import shown

PICTURES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif")


def visible_files(folder: str | Path) -> list[Path]:
    """The regular files below a folder in the order of their paths; none where there is no folder.

    What is hidden (`._x.png` of macOS, `.thumbnails/`) is passed over, and so are pipes and devices.
    """
    folder = Path(folder)
    found = folder.rglob("*") if folder.is_dir() else ()
    return sorted(path for path in found if not _hidden(path.relative_to(folder)) and path.is_file())


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def list_pictures(folder: str | Path) -> list[Path]:
    """The picture files below a folder; a warning counts and names what is left out because of its ending."""
    files = visible_files(folder)
    others = [path for path in files if path.suffix.lower() not in PICTURES]
    if others:
        said = f"{len(others)} of {len(files)} files in {shown(folder)} are left out, such as {others[0].name}"
        warnings.warn(f"{said}; pictures end in {', '.join(PICTURES)}", stacklevel=2)
    return [path for path in files if path.suffix.lower() in PICTURES]


def readable_images(files: list[Path]) -> Iterator[Tensor]:
    """The images [1,3,H,W] in [-1,1] of picture files; one that cannot be read is named in a warning and left out."""
    for file in files:
        try:
            image = load_image(file)
        except ValueError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
        else:
            yield image
