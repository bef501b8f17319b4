"""The time of whole edits against the edited area, beside the machine and the released pipeline.

Legend: R pixels or cells of a mask's side.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from where2edit.commands.benchmarks.machine import MachineRates
from where2edit.commands.benchmarks.run import BenchmarkRun
from where2edit.commands.benchmarks.sections import table
from where2edit.commands.benchmarks.subjects import NAIVE, ONNX, Calls, EditSubject
from where2edit.commands.benchmarks.timing import Times
from where2edit.commands.benchmarks.work import Work, work_of

GRID = 64  # cells of a side in which the boxes are given
# Boxes of the face: first and last row, first and last column.
AREAS = {
    "edit, lips": (42, 48, 25, 39),
    "edit, eyes": (26, 33, 18, 46),
    "edit, 5 % of the picture": (24, 38, 24, 39),
    "edit, hair": (0, 34, 8, 56),
    "edit, everything": (0, 64, 0, 64),
}
TAIL = "whole tail"
COLUMNS = "what | edited | ms, median (range) | of a whole tail | times faster than naive"
COLUMNS += " | of the matrix rate | of the copy bandwidth | memory, GiB"


@dataclass(frozen=True)
class EditTimes:
    """What was measured in one run: times and work by name, the machine's rates, and the work of the whole tail."""

    times: dict[str, Times]
    rates: MachineRates
    tail_gflop: float  # of the convolutions of the whole tail
    work: dict[str, Work] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, ...]]:
        """Lines of a table with COLUMNS; the first is what the tail's convolutions would take at the matrix rate."""
        ideal = 1e3 * self.tail_gflop / self.rates.gflops
        first = (f"{TAIL} at {self.rates.gflops:,.0f} GFLOP/s", "", f"{ideal:,.0f}", *[""] * 5)
        return [first, *(self._row(name, taken) for name, taken in self.times.items())]

    def _row(self, name: str, taken: Times) -> tuple[str, ...]:
        naive, work = self.times.get(NAIVE), self.work.get(name)
        faster = f"{naive.median / taken.median:.1f}" if naive else ""
        of_tail = f"{taken.median / self.times[TAIL].median:.2f}"
        used = (*work.shares(taken.median, self.rates), f"{work.gib:.2f}") if work else ("", "", "")
        return (name, share(AREAS[name]) if name in AREAS else "", str(taken), of_tail, faster, *used)

    def text(self, subject: EditSubject) -> str:
        """Heading, table and notes."""
        return "\n\n".join([f"### {subject.name}", f"{self.rates}.", table(COLUMNS, self.rows()), *subject.notes])


def measured(run: BenchmarkRun, subject: EditSubject) -> EditTimes:
    """The times of everything of a subject, of the whole tail and of the machine, in rounds of all."""
    with torch.no_grad():
        tail = subject.tail()
        with FlopCounterMode(display=False) as counter:
            tail()
        masks = {name: box_mask(box, subject.cells) for name, box in AREAS.items()}
        edits: Calls = {name: lambda mask=mask: subject.edit(mask) for name, mask in masks.items()}
        calls = {TAIL: tail} | subject.before | edits | subject.after
        times, rates = run.timed(calls, subject.name)
        # What ONNX Runtime does is not seen by torch.
        work = {name: work_of(call, run.device) for name, call in calls.items() if name != ONNX}
    run.keep(what=subject.name, rates=vars(rates), tail_gflop=counter.get_total_flops() / 1e9)
    for name, taken in times.items():
        run.keep(what=subject.name, row=name, times=taken.all, work=vars(work[name]) if name in work else None)
    return EditTimes(times, rates, counter.get_total_flops() / 1e9, work)


def box_mask(box: tuple[int, int, int, int], resolution: int) -> Tensor:
    """A box of the face as a mask [1,1,R,R]."""
    top, bottom, left, right = (end * resolution // GRID for end in box)
    mask = torch.zeros(1, 1, resolution, resolution)
    mask[..., top:bottom, left:right] = 1
    return mask


def share(box: tuple[int, int, int, int]) -> str:
    """Which share of the picture a box is."""
    top, bottom, left, right = box
    return f"{(bottom - top) * (right - left) / GRID**2:.0%}"
