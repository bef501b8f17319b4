"""Keeps freed memory in the process: training and editing make and drop the same large tensors thousands of times.

glibc hands blocks above 32 MB back to the system as soon as they are freed, and fetching them again page by page costs
more than the edit itself: on one thread a 1024 px edit took 3.1 s of CPU time so, and 1.1 s with freed memory kept.
"""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
MOST = 2**31 - 1  # the largest value that mallopt takes: freed memory is never handed back


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep what is freed; False where there is no such allocator."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, MOST))
