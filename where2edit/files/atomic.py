"""Files that appear whole or not at all: an interrupted write leaves what was there before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yields a path to write to, in the folder of `path`, which is made; it becomes `path` when the block ends well.

    Raises OSError when the place cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.chmod(0o644)  # safetensors leaves a file that only its owner may read
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file in UTF-8, whole or not at all; its folder is made. Raises OSError as `atomic_write` does."""
    with atomic_write(path) as file:
        file.write_text(text, encoding="utf-8")
    return Path(path)
