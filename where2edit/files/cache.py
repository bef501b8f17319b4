"""The cache folder: downloaded and converted weights, and what can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder of downloaded and converted weights: $WHERE2EDIT_CACHE, or else ~/.cache/where2edit."""
    return environment_folder("WHERE2EDIT_CACHE") or expanded("~/.cache/where2edit", "WHERE2EDIT_CACHE")


def in_cache(path: Path) -> bool:
    """Whether a path leads into the cache folder; never where there is no home to have one in."""
    try:
        return path.absolute().is_relative_to(cache_folder())
    except ValueError:
        return False


def environment_folder(name: str) -> Path | None:
    """The folder that an environment variable names, "~" written out; None where it is empty."""
    return expanded(text, name) if (text := os.environ.get(name, "")) else None


def expanded(text: str, name: str) -> Path:
    """A folder with "~" written out. Raises ValueError, naming the variable that helps, for a user without a home."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"{text} is in a home folder that is not known; set {name} to a folder of yours") from None
