"""Photos named together: all of a folder, or all that match a pattern, in the order in which people count."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from where2edit.files.picture_reading import NAMES
from where2edit.files.regular import shown

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif")


def is_pattern(name: str) -> bool:
    """Whether a name stands for several files: a folder, or a pattern with `*`, `?` or `[` that is no file's name."""
    return Path(name).is_dir() or (glob.has_magic(name) and not Path(name).is_file())


def matching(name: str) -> list[Path]:
    """The pictures in a folder, or the files that a pattern matches, 9 before 10. Raises ValueError for none."""
    if Path(name).is_dir():
        found = [path for path in Path(name).iterdir() if path.suffix.lower() in ENDINGS and path.name[0] != "."]
        what = f"the folder {shown(name)} holds no picture"
    else:
        found = [path for path in map(Path, glob.glob(name, recursive=True)) if not path.is_dir()]
        what = f"nothing matches the pattern {shown(name)}"
    if not found:
        raise ValueError(f"{what}; give the path of {NAMES} files")
    return sorted(found, key=_counted)


def _counted(path: Path) -> list[tuple[int, int | str]]:
    """What sorts a path: its digits as numbers."""
    parts = re.split(r"(\d+)", str(path))
    return [(1, int(part)) if n % 2 else (0, part.lower()) for n, part in enumerate(parts)] + [(0, str(path))]
