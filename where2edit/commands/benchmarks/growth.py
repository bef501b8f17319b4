"""Growth curves: the same things timed at growing sizes, within a budget of seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from where2edit.commands.benchmarks.sections import table
from where2edit.commands.benchmarks.timing import Times
from where2edit.evaluation.plots import empty_figure, save_figure


@dataclass
class Growth:
    """One curve or several over a size: at each size the times of everything, measured in the same rounds.

    base: the name of what the others are compared with, which is timed again at every size; scale: what a time is
    divided by before that, such as the number of edits.
    """

    title: str
    axis: str  # what the size is
    base: str
    scale: Callable[[float], float] = lambda size: 1.0
    points: dict[float, dict[str, Times]] = field(default_factory=dict)
    ended: str = ""  # why the larger sizes are missing

    def text(self) -> str:
        """Heading, table and, where sizes are missing, the reason."""
        names = list(dict.fromkeys(name for times in self.points.values() for name in times if name != self.base))
        head = " | ".join([self.axis, *(cell for name in names for cell in (f"{name}, ms", f"to {self.base}"))])
        rows = [(f"{size:g}", *(c for name in names for c in self._cells(size, name))) for size in self.points]
        return "\n\n".join([f"### {self.title}", table(head, rows), *([self.ended] if self.ended else [])])

    def _cells(self, size: float, name: str) -> tuple[str, str]:
        """Milliseconds, and the ratio to the base; dashes for what was not measured."""
        times = self.points[size]
        if name not in times:
            return "–", "–"
        ratio = "–"
        if self.base in times:
            ratio = f"{times[name].median / self.scale(size) / times[self.base].median:.2f}"
        return str(times[name]), ratio


def grow(
    growth: Growth,
    sizes: Sequence[float],
    measure: Callable[[float], dict[str, Times]],
    budget: float,
    keep: Callable[..., None] = lambda **facts: None,
    expected: Callable[[float], float] | None = None,
) -> Growth:
    """Measure a growth at rising sizes until the budget of seconds would not hold the next one; the first is always.

    measure: times by name at one size; where it does not fit into a GPU's memory, the curve ends. keep: is given each
    point as soon as it is measured. expected: the seconds that a size will take; None: they grow with the size.
    """
    began = time.monotonic()
    for number, size in enumerate(sizes):
        at = time.monotonic()
        try:
            times = measure(size)
        except torch.OutOfMemoryError:
            growth.ended = f"{size:g} and more do not fit into the memory of the GPU."
            break
        growth.points[size] = times
        keep(what=growth.title, axis=growth.axis, size=size, times={name: each.all for name, each in times.items()})
        now, later = time.monotonic(), sizes[number + 1 :]
        if not later:
            break
        longer = expected(later[0]) if expected else (now - at) * later[0] / size
        if now - began + longer > budget:
            growth.ended = f"{later[0]:g} and more would not end within the {budget:g} seconds of `--budget`."
            break
    return growth


def draw(growths: Sequence[Growth], path: Path) -> Path:
    """One picture of all curves, one axes each: milliseconds over the size, both logarithmic."""
    from matplotlib.ticker import LogFormatter, NullLocator

    figure = empty_figure(4.5 * len(growths), 3.8)
    for axes, growth in zip(figure.subplots(1, len(growths), squeeze=False)[0], growths, strict=True):
        names = dict.fromkeys(name for times in growth.points.values() for name in times)
        for name in names:
            found = [(size, times[name]) for size, times in growth.points.items() if name in times]
            middle = [each.median for _, each in found]
            spread = [[m - min(e.all) for m, (_, e) in zip(middle, found, strict=True)]]
            spread.append([max(e.all) - m for m, (_, e) in zip(middle, found, strict=True)])
            axes.errorbar([size for size, _ in found], middle, spread, marker="o", markersize=3, label=name)
        axes.set(xscale="log", yscale="log", xlabel=growth.axis, ylabel="milliseconds")
        axes.set_xticks(list(growth.points), [f"{size:g}" for size in growth.points])
        axes.xaxis.set_minor_locator(NullLocator())
        for formatted in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            formatted(LogFormatter(minor_thresholds=(1, 0.4)))  # 400, not 4 x 10^2
        axes.set_title(growth.title, fontsize=8)
        axes.legend(fontsize=7)
    return save_figure(figure, path)
