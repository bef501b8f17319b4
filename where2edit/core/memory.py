"""Memory of a process: freed memory is kept, and work that no memory could hold is refused before it begins.

Training and editing make and drop the same large tensors thousands of times.

glibc hands blocks above 32 MB back to the system as soon as they are freed, and fetching them again page by page costs
more than the edit itself: on one thread a 1024 px edit took 3.1 s of CPU time so, and 1.1 s with freed memory kept.
"""

from __future__ import annotations

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
MOST = 2**31 - 1  # the largest value that mallopt takes: freed memory is never handed back


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep what is freed; False where there is no such allocator."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, MOST))


def machine_memory() -> int:
    """Bytes of memory that this machine has; a very large number where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 1 << 62


def require_memory(size: int, what: str) -> None:
    """Raise ValueError where `size` bytes are more than this machine has; `what` begins the sentence."""
    if size > (there := machine_memory()):
        raise ValueError(f"{what} would take {size / 1e9:,.0f} GB of memory, and {there / 1e9:,.0f} GB are there")
