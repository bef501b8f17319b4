"""Extracts single members from archives of the package registry, which are only read: nothing is installed or run."""

from __future__ import annotations

import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from where2edit.files.downloads import CHUNK, SourceError, storage, write_block

# What a broken archive leads to; RuntimeError: it is encrypted, or compressed in a way that is not known.
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, struct.error, EOFError)
DAMAGE += (RuntimeError, OverflowError, UnicodeDecodeError)


def extract(archive: Path, member: str, path: Path, limit: int | None) -> None:
    """Copy one regular file out of a wheel (zip) or sdist (tar.gz) to `path`; no other name in it is ever used.

    Raises SourceError when the archive is broken, lacks the member, or the member is longer than `limit` bytes (None:
    any length), and StorageError when `path` cannot be written.
    """
    reader = _from_zip if zipfile.is_zipfile(archive) else _from_tar
    try:
        reader(archive, member, path, limit)
    except DAMAGE:
        raise SourceError(f"archive {archive.name} is broken") from None


def _from_zip(archive: Path, member: str, path: Path, limit: int | None) -> None:
    """`extract` for a wheel."""
    with zipfile.ZipFile(archive) as opened:
        if member not in opened.namelist() or opened.getinfo(member).is_dir():
            raise SourceError(f"archive {archive.name} has no member {member}")
        with opened.open(member) as stream:
            _copy(stream, path, limit, member)


def _from_tar(archive: Path, member: str, path: Path, limit: int | None) -> None:
    """`extract` for an sdist."""
    with tarfile.open(archive, "r:*") as opened:
        found = next((info for info in opened if info.name == member and info.isreg()), None)
        if found is None:
            raise SourceError(f"archive {archive.name} has no member {member}")
        _copy(opened.extractfile(found), path, limit, member)


def _copy(stream: BinaryIO, path: Path, limit: int | None, member: str) -> None:
    """Copy a stream into a file. Raises SourceError past `limit` bytes, so that a small archive cannot fill a disk."""
    written = 0
    with storage(path.parent):
        file = path.open("wb", buffering=0)
    with stream, file:
        while block := stream.read(CHUNK):
            written += len(block)
            if limit is not None and written > limit:
                raise SourceError(f"member {member} is longer than the {limit} bytes that the manifest says")
            write_block(file, block, path.parent)
