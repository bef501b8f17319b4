"""Timing a call on a CPU or a GPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

WARM_UP = 2  # calls before the measured ones: they load kernels and fill caches


def milliseconds(call: Callable[[], object], device: torch.device, repeats: int = 10) -> float:
    """Median time of a call in milliseconds, after WARM_UP unmeasured ones."""
    times = []
    for _ in range(WARM_UP + repeats):
        _wait(device)
        begin = time.perf_counter()
        call()
        _wait(device)
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times[WARM_UP:])


def _wait(device: torch.device) -> None:
    """Wait until a GPU is done, so that the clock measures the work and not only its launch."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
