"""Zip archives from outside: what they may hold is checked in their directory, before anything is unpacked."""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from where2edit.files.fingerprints import BLOCK
from where2edit.files.regular import NAME, shown

MAGIC = b"PK\x03\x04"  # begins an archive that has members
LONGEST_DIRECTORY = 1 << 22  # bytes of the table of members
MOST_MEMBERS = 20_000
MOST_UNPACKED = 1 << 29  # bytes of all members that are compressed
LARGEST_SMALL = 1 << 26  # bytes of a pickle beside the numbers
LOCAL_HEADER = 30  # bytes before the name of a member
ALIGNED = 8  # bytes; numbers must not begin between
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError, OverflowError)
DAMAGE += (LookupError, UnicodeDecodeError, OSError, MemoryError)


class _Opening(io.FileIO):
    """A file whose directory is refused when it is too long: the zipfile module reads it whole."""

    longest = LONGEST_DIRECTORY

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > self.longest:
            raise zipfile.BadZipFile(f"its table of members has {size} bytes")
        return super().read(size)


def is_zip(path: Path) -> bool:
    """True for a file that begins as archives do."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, whose members are stored or deflated, not encrypted and not too many.

    Raises ValueError for any other, and for damage that is found while it is read.
    """
    try:
        with _Opening(path) as file, zipfile.ZipFile(file) as archive:
            file.longest = MOST_UNPACKED
            _check(archive.infolist(), path.stat().st_size)
            yield archive
    except DAMAGE as error:
        reason = shown(str(error) or type(error).__name__)
        raise ValueError(f"{shown(path)} is broken or not a readable archive ({reason}); get the file again") from None


def _check(members: list[zipfile.ZipInfo], size: int) -> None:
    """Raise BadZipFile for members that are not read, or that would unpack to too much."""
    if len(members) > MOST_MEMBERS or len({member.filename for member in members}) < len(members):
        raise zipfile.BadZipFile(
            f"it has {len(members)} members, of which {MOST_MEMBERS} with names of their own are read"
        )
    for member in members:
        name = shown(member.filename, NAME)
        if member.flag_bits & 1:
            raise zipfile.BadZipFile(f"its member {name} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile(f"its member {name} is compressed in a way that is not read")
        if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
            raise zipfile.BadZipFile(f"its member {name} has two sizes")
        if member.compress_size > size:
            raise zipfile.BadZipFile(f"its member {name} is longer than the archive")
    unpacked = sum(member.file_size for member in members if member.compress_type != zipfile.ZIP_STORED)
    if unpacked > MOST_UNPACKED:
        raise zipfile.BadZipFile(f"it unpacks to {unpacked / 1e6:,.0f} MB, at most {MOST_UNPACKED / 1e6:,.0f} MB are")


def small_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member that describes the others. Raises BadZipFile for a large one."""
    if archive.getinfo(name).file_size > LARGEST_SMALL:
        raise zipfile.BadZipFile(f"its member {shown(name, NAME)} has {archive.getinfo(name).file_size} bytes")
    return archive.read(name)


def member_bytes(archive: zipfile.ZipFile, name: str, mapped: mmap.mmap) -> memoryview:
    """A member's content, verified by its checksum: a part of the archive in memory, or unpacked."""
    member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED:
        unpacked = bytearray()
        with archive.open(member) as stream:
            while block := stream.read(BLOCK):
                unpacked += block
        return memoryview(unpacked)
    with archive.open(member):
        pass  # compares the header before the member with the directory
    lengths = struct.unpack_from("<HH", mapped, member.header_offset + LOCAL_HEADER - 4)
    begin = member.header_offset + LOCAL_HEADER + sum(lengths)
    content = memoryview(mapped)[begin : begin + member.file_size]
    if len(content) < member.file_size or zlib.crc32(content) != member.CRC:
        raise zipfile.BadZipFile(f"its member {shown(name, NAME)} does not have its checksum")
    return content if begin % ALIGNED == 0 else memoryview(bytearray(content))
