"""Bootstrap intervals of rows that are compared at the same rise (matched.py): sources are drawn with replacement.

All rows of a draw have the same sources, and each is read off its own curve of that draw, so that an interval also
holds what is uncertain about the strength. As every bootstrap here, that of a distance between sets, such as KID, is
moved so that its mean is the figure itself. Ours.

Legend: N sources, P prompts.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from where2edit.evaluation.figures import REPLICATES, by_prompt, read_metrics
from where2edit.evaluation.matched import Ends, Figures, crossing, from_no_op
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.intervals import draws, ends
from where2edit.evaluation.runner import ProtocolRunner
from where2edit.evaluation.table import PlannedTable

LEVEL = 0.95  # share of the draws that an interval holds; a row of which fewer reach the rise has none

Reading = Callable[[Tensor], float]  # the figure of a choice of sources, by their numbers; nan where none counts
Readings = dict[str, dict[float, dict[str, Reading]]]  # row -> strength -> metric -> its figure over all prompts


def matched_intervals(runner: ProtocolRunner, table: PlannedTable) -> dict[str, dict[str, Ends]]:
    """The ends {row: {metric: (low, high)}} of the figures at the rise that a table's protocol asks for.

    None for a single source, which has no spread.
    """
    if table.plan.n < 2:
        return {}
    known, found = readings(runner, table), dict[str, dict[str, list[float]]]()
    for pick in draws(table.plan.n, REPLICATES):
        for label, figures in matched_figures(table, known, pick).items():
            for name, value in figures.items():
                found.setdefault(label, {}).setdefault(name, []).append(value)
    whole = matched_figures(table, known, torch.arange(table.plan.n))
    return {
        label: {
            name: interval_ends(name, values, whole.get(label, {}).get(name))
            for name, values in figures.items()
            if len(values) >= LEVEL * REPLICATES
        }
        for label, figures in found.items()
    }


def interval_ends(name: str, values: list[float], whole: float | None) -> Ends:
    """The ends of the values that the draws gave a metric, moved to the figure `whole` where it is one of a set."""
    return ends(torch.tensor(values, dtype=torch.float64), LEVEL, whole if METRICS.get(name).of_set else None)


def matched_figures(table: PlannedTable, known: Readings, pick: Tensor) -> dict[str, Figures]:
    """The figures of each row over the sources `pick` where those have the rise; rows without it are left out."""
    rise = table.protocol.matched
    assert rise is not None  # or no row is compared so
    found = {label: crossing(curve, rise) for label, curve in from_no_op(table, drawn(known, pick)).items()}
    return {label: at[1] for label, at in found.items() if at is not None}


def readings(runner: ProtocolRunner, table: PlannedTable) -> Readings:
    """The figures of a crossed table as functions of the sources, by row, strength and metric."""
    return {
        row.label: {
            strength: {name: over_prompts(metric, table) for name, metric in metrics.items()}
            for strength, metrics in read_metrics(runner, table, row).items()
            if strength is not None
        }
        for row in table.rows
    }


def over_prompts(metric: Metric, table: PlannedTable) -> Reading:
    """The mean of the prompts' figures; those of which no drawn edit counts are left out."""
    prompts = len(table.protocol.prompts)
    parts = [of_prompt(part, table.plan.n, prompts) for part in by_prompt(metric, table.protocol).values()]

    def figure(pick: Tensor) -> float:
        known = [value for part in parts if math.isfinite(value := part(pick))]
        return sum(known) / len(known) if known else math.nan

    return figure


def of_prompt(metric: Metric, n: int, prompts: int) -> Reading:
    """The figure of one prompt's edits, which are numbered source * P + prompt."""
    state, values = metric.state(), metric.valid_values()
    place = torch.full((n,), -1)  # of each source among those that count
    if len(values):  # none counts where nature has too few examples of what the prompt asks for
        counting = state["index"][~state["values"].isnan().any(1)] // prompts
        place[counting] = torch.arange(len(values))
    of_rows = metric.figure_of_rows(values)

    def figure(pick: Tensor) -> float:
        rows = place[pick]
        rows = rows[rows >= 0]
        return of_rows(rows) if len(rows) >= metric.fewest else math.nan

    return figure


def drawn(known: Readings, pick: Tensor) -> dict[str, dict[float, Figures]]:
    """The figures over all prompts of the sources `pick` [N]; a metric is left out where none of their edits counts."""
    return {
        label: {strength: _finite(metrics, pick) for strength, metrics in of_row.items()}
        for label, of_row in known.items()
    }


def _finite(metrics: dict[str, Reading], pick: Tensor) -> Figures:
    found = {name: reading(pick) for name, reading in metrics.items()}
    return {name: value for name, value in found.items() if math.isfinite(value)}
