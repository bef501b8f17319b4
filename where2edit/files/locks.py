"""One process at a time in a folder: a lock that says whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from where2edit.files.atomic import storage

LOCK = ".lock"  # its file: process and machine of the owner, one line each
SECONDS = 3  # to wait for the lock: long enough to see that what a power cut left of one is nobody's


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, which must be there, for the length of the block.

    The lock of a process of this machine that has ended, however it ended, is taken over. Raises ValueError naming the
    owner while another process holds the folder, StorageError (an OSError) where no lock can be written.
    """
    from filelock import SoftFileLock, Timeout

    path = folder / LOCK
    lock = SoftFileLock(path)
    with storage(str(path), "free some space, or choose another folder with --out"):
        try:
            lock.acquire(timeout=SECONDS, poll_interval=0.1)
        except Timeout:
            raise ValueError(
                f"{folder} is in use by {_owner(path)}; wait for it, or choose another folder with --out (where it "
                f"does not run any more, remove {path})"
            ) from None
    try:
        yield
    finally:
        lock.release()


def _owner(path: Path) -> str:
    """The owner of a lock in words."""
    try:
        pid, host, *_ = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return "another process"
    return f"process {pid[:20]} on {host[:60]}"
