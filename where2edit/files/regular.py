"""Only regular files of a plausible size are read: no pipe, no device, no folder, nothing that never ends."""

from __future__ import annotations

import os
import stat
from pathlib import Path

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
SHOWN, NAME = 100, 80  # characters of a path and of a name that an error's sentence shows


def regular_file(path: str | Path, what: str, most_bytes: int, advice: str = "give the path of a file") -> Path:
    """`path`, once it is known to lead to a regular file of at most `most_bytes`; nothing is opened or read for it.

    Links are followed. Raises ValueError, in which `what` says what the file was wanted for ("weights") and `advice`
    what to do.
    """
    path = Path(path)
    try:
        found = path.stat()
    except FileNotFoundError:
        raise ValueError(f"no {what} at {shown(path)}; {advice}") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"no {what} at {shown(path)}: {reason}; {advice}") from None
    if not stat.S_ISREG(found.st_mode):
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise ValueError(f"no {what} at {shown(path)}: it is {kind}; {advice}")
    if found.st_size > most_bytes:
        sizes = f"it has {found.st_size / 1e6:,.1f} MB, at most {most_bytes / 1e6:,.1f} MB are read"
        raise ValueError(f"no {what} at {shown(path)}: {sizes}; {advice}")
    if not os.access(path, os.R_OK):
        raise ValueError(f"no {what} at {shown(path)}: it may not be read; {advice}")
    return path


def shown(path: object, most: int = SHOWN) -> str:
    """A path or name as an error's sentence shows it: without the middle of a long one, and what a terminal obeys."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(path))
    return text if len(text) <= most else f"{text[: most // 3]}...{text[most // 3 + 3 - most :]}"
