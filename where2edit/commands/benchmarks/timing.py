"""Timing a call on a CPU or a GPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tqdm import tqdm

WARM_UP = 2  # calls before the measured ones: they load kernels and fill caches


def milliseconds(call: Callable[[], object], device: torch.device, repeats: int = 10) -> float:
    """Median time of a call in milliseconds, after WARM_UP unmeasured ones."""
    times = [timed(call, device) for _ in range(WARM_UP + repeats)]
    return statistics.median(times[WARM_UP:])


def timed(call: Callable[[], object], device: torch.device) -> float:
    """Milliseconds of one call."""
    _wait(device)
    begin = time.perf_counter()
    call()
    _wait(device)
    return 1e3 * (time.perf_counter() - begin)


def _wait(device: torch.device) -> None:
    """Wait until a GPU is done, so that the clock measures the work and not only its launch."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass(frozen=True)
class Times:
    """Milliseconds of several calls of one thing."""

    all: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.all)

    def __str__(self) -> str:
        return f"{self.median:,.0f} ({min(self.all):,.0f} to {max(self.all):,.0f})"


def interleaved(
    calls: dict[str, Callable[[], object]], device: torch.device, rounds: int, progress: str
) -> dict[str, Times]:
    """Times of each call in `rounds` rounds of all, one after the other, so that all meet the same machine.

    A round before them is not measured. `progress` names the bar.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in tqdm(range(rounds + 1), desc=progress, unit="round"):
        for name, call in calls.items():
            taken[name].append(timed(call, device))
    return {name: Times(tuple(values[1:])) for name, values in taken.items()}
