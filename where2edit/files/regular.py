"""Only regular files of a plausible size are read: no pipe, no device, no folder, nothing that never ends."""

from __future__ import annotations

import stat
from pathlib import Path

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def regular_file(path: str | Path, what: str, most_bytes: int) -> Path:
    """`path`, once it is known to lead to a regular file of at most `most_bytes`; nothing is opened or read for it.

    Links are followed. Raises ValueError, in which `what` says what the file was wanted for.
    """
    path = Path(path)
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"no {what} at {path}: {reason}; give the path of a file") from None
    if not stat.S_ISREG(found.st_mode):
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise ValueError(f"no {what} at {path}: it is {kind}; give the path of a file")
    if found.st_size > most_bytes:
        sizes = f"{found.st_size / 1e6:,.0f} MB, at most {most_bytes / 1e6:,.0f} MB are read"
        raise ValueError(f"no {what} at {path}: it has {sizes}; give a smaller file")
    return path
