"""A table of the evaluation: what it will measure, and the figures that came out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from where2edit.editor.natural_strength import NaturalStrength
from where2edit.evaluation.metrics.intervals import Interval
from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.samples import PromptBatch, SamplingPlan, prompt_batches
from where2edit.inversion.base import InversionConfig
from where2edit.methods.base import Method


@dataclass(frozen=True)
class BuiltRow:
    """A row that can run: its method with weights."""

    label: str
    method: Method
    strength: float | str  # with which it edits where the protocol names none: a number, or "auto"
    depends_on: object  # config, weights and plan: everything that its numbers depend on
    natural: NaturalStrength | None = None  # what chooses the strengths of a row whose strength is "auto"
    inversion: InversionConfig = field(default_factory=InversionConfig)  # how photos are inverted
    tag: str | None = None  # edits by prompts with this tag only
    strengths: tuple[float, ...] = ()  # in place of the protocol's, of kind "strength"
    models: Path | None = None  # the folder of its models, where the evaluation trains it


@dataclass(frozen=True)
class PlannedTable:
    """A protocol with its sampling plan and the rows that can run."""

    protocol: Protocol
    plan: SamplingPlan
    rows: list[BuiltRow]
    left_out: dict[str, str]  # label of a row that cannot run -> the reason

    def strengths(self, row: BuiltRow) -> tuple[float, ...]:
        """The strengths at which a row of a table over strengths edits; none of another table."""
        return row.strengths if row.strengths and self.protocol.kind == "strength" else self.protocol.strengths

    def batches(self, row: BuiltRow, sources: range) -> list[PromptBatch]:
        """The batches of a chunk of sources that a row edits by."""
        protocol = replace(self.protocol, strengths=self.strengths(row))
        batches = prompt_batches(protocol, self.plan, sources)
        return [each for each in batches if row.tag is None or row.tag in each.prompts[0].tags]


@dataclass(frozen=True)
class Figure:
    """One number of a report: a metric of a row, over all prompts or of one."""

    row: str
    metric: str
    interval: Interval | None  # None: no sample counts
    strength: float | str = 0.1  # a number, or "auto"
    prompt: str | None = None  # None: all prompts together
    detail: str = ""  # what the metric adds in words


@dataclass(frozen=True)
class Table(PlannedTable):
    """A protocol that was run."""

    figures: list[Figure]
