"""Where commands write: seen to before any work is done for it, so that no hour of work ends at a wrong name."""

from __future__ import annotations

import os
from pathlib import Path

from where2edit.files.atomic import partial_path, sweep

PICTURES = (".png", ".jpg", ".jpeg")
PNG, SAFETENSORS, MARKDOWN = (".png",), (".safetensors",), (".md",)
LONGEST = 255  # bytes of a name that a folder takes
MOST_PIXELS, MOST_SIDE = 500_000_000, 65_000  # of a sheet; the side is what a JPEG can have


def writable(folder: Path, option: str = "--out") -> Path:
    """Make a folder, see that files can be written there, and clear away what killed runs left half-written.

    Raises ValueError for one that cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _probe(folder / "probe")
        sweep(folder)
    except OSError as error:
        raise ValueError(
            f"the folder {folder} is not writable ({error.strerror}); choose another with {option}"
        ) from None
    return folder


def _probe(path: Path) -> None:
    """Write and remove the partial file of `path`."""
    probe = partial_path(path)
    probe.touch()
    probe.unlink()


def new_file(path: Path, endings: tuple[str, ...], overwrite: bool = False, option: str = "--out") -> Path:
    """The path of a result that is to be written, with its folder made.

    Raises ValueError for another ending, a folder, a place that cannot be written and, without `overwrite`, for a file
    that is there already.
    """
    if path.suffix.lower() not in endings:
        raise ValueError(f"{option} is {path}; give a name that ends in {' or '.join(endings)}")
    if len(os.fsencode(path.name)) > LONGEST:
        raise ValueError(f"{option} is {path}; a name can have {LONGEST} characters")
    if path.is_dir():
        raise ValueError(f"{option} is {path}, which is a folder; give the name of a file")
    unclaimed(path, overwrite, option)
    writable(path.parent, option)
    return path


def unclaimed(path: Path, overwrite: bool, option: str = "--out") -> None:
    """Raise ValueError where there is a result already that is not to be overwritten."""
    if not overwrite and os.path.lexists(path):
        raise ValueError(f"{path} is there already; give another {option}, or --overwrite to replace it")


def check_sheet(rows: int, columns: int, cell: int) -> None:
    """Raise ValueError for a sheet of so many pictures that no file could hold it."""
    side, pixels = max(rows, columns) * cell, rows * columns * cell * cell
    if side > MOST_SIDE or pixels > MOST_PIXELS:
        raise ValueError(
            f"a sheet of {rows:,} rows and {columns:,} columns of {cell} pixels is too large; allowed: sides of "
            f"{MOST_SIDE:,} and {MOST_PIXELS:,} pixels in all; ask for fewer or smaller pictures"
        )
