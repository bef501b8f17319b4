"""The containers of torch, read without torch's own reader: the zip archive, and the file of pickles before torch 1.6.

The pickle in them goes through `safe_pickle`; the numbers beside it are parts of the file, which stays in memory as a
private copy of its pages.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from where2edit.files.formats import safe_pickle
from where2edit.files.formats.pickled_tensors import REBUILDS, flat_tensor, rebuild, storage_type, tensor_makers
from where2edit.files.formats.pickled_values import Budget, Refused, Unread
from where2edit.files.formats.safe_pickle import ADVICE, Makers, Walk
from where2edit.files.formats.zip_archives import is_zip, member_bytes, open_zip, small_member
from where2edit.files.regular import regular_file, shown

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001  # the first two pickles of the older container
MOST_BYTES = 1 << 33


@contextmanager
def mapped_file(path: Path) -> Iterator[mmap.mmap]:
    """A file in memory, whose pages may be written without changing it. Raises ValueError for an empty one."""
    if not path.stat().st_size:
        raise ValueError(f"{shown(path)} is broken or not a readable file (it is empty); {ADVICE}")
    with path.open("rb") as file:
        yield safe_pickle.Mapped(file.fileno(), 0, access=mmap.ACCESS_COPY)


def read_torch(path: str | Path) -> Any:
    """What `torch.save` wrote, in either container: tensors and arrays in plain containers.

    Raises ValueError for anything else.
    """
    file = regular_file(path, "file", MOST_BYTES, "give the official file, as scripts/download.py fetches it")
    if is_zip(file):
        return read_archive(file, tensor_makers())
    with mapped_file(file) as mapped:
        return read_pickles(mapped, tensor_makers(), str(path), Budget(len(mapped)))


def read_archive(path: Path, makers: Makers) -> Any:
    """The object in an archive's data.pkl, its tensors taken from the members beside it."""
    with open_zip(path) as archive, mapped_file(path) as mapped:
        pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise Unread(f"{shown(path)} is not an archive of torch: {len(pickles)} files data.pkl, expected 1")
        folder = pickles[0].removesuffix(".pkl")
        order = f"{folder.removesuffix('data')}byteorder"
        if order in archive.namelist() and small_member(archive, order) != b"little":
            raise Unread(f"{shown(path)} holds numbers in the byte order of another machine; save it again there")
        storages: dict[str, Tensor] = {}

        def storage(reference: Any) -> Tensor:
            kind, name = _reference(reference)
            if name not in storages:
                content = member_bytes(archive, f"{folder}/{name}", mapped)
                if len(content) != reference[4] * kind.itemsize:
                    raise Refused(f"it holds {len(content)} bytes where {reference[4]} numbers belong")
                storages[name] = flat_tensor(content, kind)
            return storages[name]

        return safe_pickle.loads(small_member(archive, pickles[0]), makers, str(path), storage)


def read_pickles(stream: Any, makers: Makers, origin: str, budget: Budget) -> Any:
    """The older container: pickles of a magic number, a version, the system, the object and the names of its storages,
    and then the storages. `stream` is a file in memory or io.BytesIO.
    """

    def walk(makers: Makers = makers, outside: Callable[[Any], Any] | None = None) -> Any:
        return Walk(stream, makers, origin, budget, outside).run()

    if walk() != MAGIC or walk() != VERSION or not isinstance(walk(), dict):
        raise Unread(f"{shown(origin)} is not a readable checkpoint: it is a pickle, but not of torch; {ADVICE}")
    begin, named, storages = stream.tell(), {}, {}

    def note(reference: Any) -> None:
        kind, name = _reference(reference)
        named[name] = (kind, reference[4])

    # Only the object says of which type its storages are, and it needs them: it is walked twice.
    walk(makers | dict.fromkeys(REBUILDS, lambda *_: None), note)
    names = walk()
    for name in names if isinstance(names, list) else ():
        storages[name] = _next_storage(stream, *named.get(name, (None, 0)), origin)

    def storage(reference: Any) -> Tensor:
        flat = storages.get(_reference(reference)[1])
        if flat is None:
            raise Refused("it refers to numbers that are not in the file")
        match reference[5:]:
            case ((_, int() as offset, int() as size),):
                return rebuild(flat, offset, (size,), (1,))
        return flat

    stream.seek(begin)
    return walk(makers, storage)


def _next_storage(stream: Any, kind: torch.dtype | None, numbers: int, origin: str) -> Tensor:
    """The storage at which `stream` stands: how many numbers, and they themselves."""
    count = int.from_bytes(stream.read(8), "little")
    data = stream.read(count * kind.itemsize) if kind is not None and count == numbers else b""
    if kind is None or count != numbers or len(data) != count * kind.itemsize:
        raise Unread(f"{shown(origin)} is not a readable checkpoint: a storage in it is cut off or not known; {ADVICE}")
    return flat_tensor(bytearray(data), kind)


def _reference(reference: Any) -> tuple[torch.dtype, str]:
    """Type and name of the storage to which a pickle refers. Raises Refused for another kind of reference."""
    match reference:
        case ("storage", kind, str() as name, str(), int() as numbers, *_) if 0 <= numbers < 1 << 48:
            return storage_type(kind), name
    raise Refused("it refers to data of a kind that is not known")
