"""Files that appear whole or not at all: an interrupted write leaves what was there before.

What is being written has a name of its own until it is whole, `.NAME.HOST-PID.partial`, by which the rest of a process
that was killed is known from the work of one that lives.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from where2edit.files.cache import in_cache

LONGEST = 150  # bytes of a name that are kept in that of its partial file: a folder takes 255 in all
PARTIAL = re.compile(r"\..+\.([0-9a-f]{8})-(\d+)\.partial")


class StorageError(OSError):
    """A place that cannot take a file: no space, or no right to write."""


@contextmanager
def storage(what: str, advice: str) -> Iterator[None]:
    """Turn what goes wrong while writing into one sentence (StorageError) that ends with `advice`."""
    try:
        yield
    except StorageError:
        raise
    except (OSError, SafetensorError) as error:
        raise StorageError(f"{what} cannot be written ({_reason(error)}); {advice}") from None


def _reason(error: OSError | SafetensorError) -> str:
    """What the system said; safetensors hands it on inside its own words."""
    inside = re.search(r"os error (\d+)|code: (\d+)", str(error))
    if isinstance(error, SafetensorError) and inside:
        return os.strerror(int(inside[1] or inside[2]))
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yields a path to write to, in the folder of `path`, which is made; it becomes `path` when the block ends well.

    Raises StorageError (an OSError) when the place cannot be written; nothing half-written stays.
    """
    path = Path(path)
    other = "set WHERE2EDIT_CACHE to another folder" if in_cache(path) else "choose a folder that can be written"
    with storage(str(path), f"free some space, or {other}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = partial_path(path)
        try:
            yield partial
            partial.chmod(0o644)  # safetensors leaves a file that only its owner may read
            os.replace(partial, path)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write a file, whole or not at all; its folder is made. Raises OSError as `atomic_write` does."""
    with atomic_write(path) as file:
        file.write_bytes(data)
    return Path(path)


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file in UTF-8, whole or not at all; its folder is made. Raises OSError as `atomic_write` does."""
    with atomic_write(path) as file:
        file.write_text(text, encoding="utf-8")
    return Path(path)


def partial_path(path: Path) -> Path:
    """What `path` is called while this process writes it."""
    return path.with_name(f".{shortened(path.name, LONGEST)}.{host()}-{os.getpid()}.partial")


def shortened(name: str, most: int) -> str:
    """The start of a file's name, as many whole letters as fit into `most` bytes: Chinese ones have three."""
    return name.encode("utf-8", "surrogateescape")[:most].decode("utf-8", "ignore")


def host() -> str:
    """Eight hex digits for the machine: processes of another one may write into a shared folder."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def alive(pid: int) -> bool:
    """Whether a process of this machine still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it runs, and belongs to somebody else
        return True
    return True


def sweep(folder: Path, below: bool = False) -> None:
    """Remove what killed processes of this machine left half-written in `folder`; files of living ones stay.

    `below`: also in the folders below it.
    """
    pattern = "**/.*.partial" if below else ".*.partial"
    for path in folder.glob(pattern) if folder.is_dir() else ():
        found = PARTIAL.fullmatch(path.name)
        if found and found[1] == host() and not alive(int(found[2])):
            with suppress(OSError):
                path.unlink()
