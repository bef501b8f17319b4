"""Timing a call on a CPU or a GPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tqdm import tqdm


def timed(call: Callable[[], object], device: torch.device) -> float:
    """Milliseconds of one call."""
    wait(device)
    begin = time.perf_counter()
    call()
    wait(device)
    return 1e3 * (time.perf_counter() - begin)


def wait(device: torch.device) -> None:
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

    @property
    def spread(self) -> float:
        """(longest - shortest) / median."""
        return (max(self.all) - min(self.all)) / self.median

    def __str__(self) -> str:
        digits = 0 if self.median >= 100 else 1 if self.median >= 10 else 2
        middle, least, most = (f"{each:,.{digits}f}" for each in (self.median, min(self.all), max(self.all)))
        return f"{middle} ({least} to {most})"


def interleaved(
    calls: dict[str, Callable[[], object]], device: torch.device, rounds: int, progress: str = ""
) -> dict[str, Times]:
    """Times of each call in `rounds` rounds of all, one after the other, so that all meet the same machine.

    A round before them is not measured: it loads kernels and fills caches. `progress` names the bar; "": there is none.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in tqdm(range(rounds + 1), desc=progress, unit="round", disable=not progress):
        for name, call in calls.items():
            taken[name].append(timed(call, device))
    return {name: Times(tuple(values[1:])) for name, values in taken.items()}
