"""Memory that a command freed is kept for its next tensors."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from where2edit.core.memory import keep_freed_memory
import torch
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):  # glibc lets the first ones creep through the heap
    torch.ones(10_000_000)
before = faults()
for _ in range(5):
    torch.ones(10_000_000)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
@pytest.mark.slow
def test_freed_memory_is_kept():
    """Five tensors of 40 MB, each freed: 50,000 pages are fetched again and again, or none."""
    start = [sys.executable, "-c", FAULTS]
    plain, kept = (int(subprocess.check_output([*start, how], text=True)) for how in ("plain", "keep"))
    assert kept < 1000 and kept < plain / 10
