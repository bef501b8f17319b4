"""What all measurements of one run share: device, rounds, budget, and where each figure goes as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from where2edit.commands.benchmarks.growth import Growth, grow
from where2edit.commands.benchmarks.lines import MeasuredLines
from where2edit.commands.benchmarks.machine import MachineCalls, MachineRates
from where2edit.commands.benchmarks.timing import Times, interleaved

QUICK_SIZES = 2  # sizes of a growth curve in a quick run


@dataclass
class BenchmarkRun:
    """The run of one section; `quick`: everything in small, which shows that it runs and nothing else."""

    device: torch.device
    rounds: int = 5
    budget: float = 60.0  # seconds of one growth curve
    quick: bool = False
    lines: MeasuredLines | None = None
    growths: list[Growth] = field(default_factory=list)  # all that were measured, for the picture

    def keep(self, **facts: object) -> None:
        """Write down what was measured."""
        if self.lines is not None:
            self.lines.add(**facts)

    def timed(self, calls: dict[str, Callable[[], object]], progress: str) -> tuple[dict[str, Times], MachineRates]:
        """Times of the calls and the rates of the machine, all in the same rounds."""
        machine = MachineCalls.of(self.device, self.quick)
        times = interleaved(calls | machine.calls(), self.device, self.rounds, progress)
        rates = machine.rates(times)
        return times, rates

    def grown(self, growth: Growth, sizes: Sequence[float], calls: Callable[[float], dict]) -> Growth:
        """A growth curve of what `calls` gives for each size, timed in rounds of all."""

        def measure(size: float) -> dict[str, Times]:
            made = calls(size)
            return interleaved(made, self.device, self.rounds, f"{growth.title}, {size:g}")

        return self.kept(growth, sizes, measure)

    def kept(
        self,
        growth: Growth,
        sizes: Sequence[float],
        measure: Callable[[float], dict[str, Times]],
        expected: Callable[[float], float] | None = None,
    ) -> Growth:
        """A growth curve of what `measure` times at each size, written down point by point."""
        self.growths.append(growth)
        return grow(growth, sizes[:QUICK_SIZES] if self.quick else sizes, measure, self.budget, self.keep, expected)
