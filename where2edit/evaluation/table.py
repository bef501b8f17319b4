"""A table of the evaluation: what it will measure, and the figures that came out."""

from __future__ import annotations

from dataclasses import dataclass

from where2edit.evaluation.metrics.intervals import Interval
from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.samples import SamplingPlan
from where2edit.methods.base import Method


@dataclass(frozen=True)
class BuiltRow:
    """A row that can run: its method with weights."""

    label: str
    method: Method
    strength: float  # with which it edits where the protocol names none
    depends_on: object  # config, weights and plan: everything that its numbers depend on


@dataclass(frozen=True)
class PlannedTable:
    """A protocol with its sampling plan and the rows that can run."""

    protocol: Protocol
    plan: SamplingPlan
    rows: list[BuiltRow]
    left_out: dict[str, str]  # label of a row that cannot run -> the reason


@dataclass(frozen=True)
class Figure:
    """One number of a report: a metric of a row, over all prompts or of one."""

    row: str
    metric: str
    interval: Interval | None  # None: no sample counts
    strength: float | None = None
    prompt: str | None = None  # None: all prompts together
    detail: str = ""  # what the metric adds in words


@dataclass(frozen=True)
class Table(PlannedTable):
    """A protocol that was run."""

    figures: list[Figure]
