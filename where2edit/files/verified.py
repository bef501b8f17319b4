"""Which files were found right: each is hashed once, and again when its size or time changes."""

from __future__ import annotations

import json
from pathlib import Path

from where2edit.files.atomic import atomic_write
from where2edit.files.cache import cache_folder
from where2edit.files.json_files import read_json


def known_right(name: str, file: Path, sha256: str | None) -> bool:
    """True when this very file, unchanged since, was found to have this sha256; `name` is that of the record."""
    try:
        return read_json(_record(name), "record") == _fingerprint(file) | {"sha256": sha256}
    except (OSError, ValueError):
        return False


def record_right(name: str, file: Path, sha256: str | None) -> None:
    """Record that a file was found right; where the cache cannot be written, it is hashed again next time."""
    try:
        with atomic_write(_record(name)) as partial:
            partial.write_text(json.dumps(_fingerprint(file) | {"sha256": sha256}))
    except OSError:
        return


def _record(name: str) -> Path:
    """The file of a record."""
    return cache_folder() / "verified" / f"{name}.json"


def _fingerprint(file: Path) -> dict:
    """Path, size and time of a file, by which an unchanged one is recognised without hashing it."""
    stat = file.stat()
    return {"path": str(file), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
