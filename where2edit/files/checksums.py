"""Checksums of safetensors: what is written carries one, and what is shipped stands in pretrained_models/SHA256SUMS.

A checksum is verified when a file is read; a large file's once, and again when its size or time has changed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import BinaryIO

from where2edit.files.fingerprints import BLOCK, file_sha256, text_sha256
from where2edit.files.manifest import shipped
from where2edit.files.regular import shown
from where2edit.files.verified import known_right, record_right

ENTRY = "content_sha256"  # of the metadata: sha256 of the header without this entry, in one order, and of all tensors
EMPTY = "0" * 64  # stands there until the file is complete
SUMS = "SHA256SUMS"  # in the folder of shipped weights, as `sha256sum *.safetensors` prints it
FOLDER = "pretrained_models"
LARGEST_HEADER = 1 << 23  # bytes; more would be tens of thousands of tensors
RECORDED = 1 << 22  # bytes from which on it is recorded that a file was found right; smaller ones are hashed as quickly


def seal(path: Path) -> None:
    """Give the header of a new file one order, and the checksum its value; the length of the file stays.

    safetensors writes the metadata in another order each time, and so other bytes.
    """
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"][ENTRY] = _content(header, file)
        text = _ordered(header)
        if len(text) > size:
            raise OSError(f"the header of {path} grew from {size} to {len(text)} bytes")
        file.seek(8)
        file.write(text.ljust(size))


def check_header(path: Path) -> None:
    """Raise ValueError for a file whose header is too long to be parsed."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if LARGEST_HEADER < size <= path.stat().st_size:
        raise ValueError(f"{shown(path)} has a header of {size} bytes, at most {LARGEST_HEADER} are read")


def verify(path: Path, expected: str | None, advice: str) -> None:
    """Raise ValueError for a file that has changed since it was written, or since it was shipped.

    `expected`: the checksum in its metadata; None, as in files of earlier versions, goes by SHA256SUMS.
    """
    if expected is not None:
        if not _matches(path, expected, whole=False):
            raise ValueError(f"{shown(path)} is damaged: its content has changed since it was written; {advice}")
    elif (listed := _listed(path)) and not _matches(path, listed, whole=True):
        restore = f"restore it (git checkout -- {FOLDER}/{path.name}), or write the list again if it is new"
        raise ValueError(f"{shown(path)} is damaged or another file: its sha256 is not that of {SUMS}; {restore}")


def _matches(path: Path, expected: str, whole: bool) -> bool:
    """Whether a file has a checksum: that of the whole file or that of its content."""
    path = path.absolute()
    record = text_sha256(str(path))[:16]
    if known_right(record, path, expected):
        return True
    if (file_sha256(path) if whole else _file_content(path)) != expected:
        return False
    if path.stat().st_size >= RECORDED:
        record_right(record, path, expected)
    return True


def _listed(path: Path) -> str | None:
    """The sha256 that SHA256SUMS gives a shipped file; None for every other file."""
    sums = shipped(FOLDER) / SUMS
    if path.resolve().parent != sums.parent.resolve() or not sums.is_file():
        return None
    lines = (line.split() for line in sums.read_text(encoding="utf-8").splitlines())
    return next((line[0] for line in lines if len(line) == 2 and line[1].lstrip("*") == path.name), None)


def _file_content(path: Path) -> str:
    """The checksum of a file's content; "" where its header cannot be read."""
    with path.open("rb") as file:
        try:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            return _content(header, file)
        except (ValueError, RecursionError):
            return ""


def _content(header: dict, file: BinaryIO) -> str:
    """The checksum of a header and of the tensors after it, to which `file` has been read."""
    metadata = {key: value for key, value in header.get("__metadata__", {}).items() if key != ENTRY}
    total = hashlib.sha256(_ordered(header | {"__metadata__": metadata}))
    while block := file.read(BLOCK):
        total.update(block)
    return total.hexdigest()


def _ordered(header: dict) -> bytes:
    """A header as JSON in one order."""
    return json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
