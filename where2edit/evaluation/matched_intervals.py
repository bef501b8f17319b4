"""Bootstrap intervals of rows that are compared at the same rise (matched.py): sources are drawn with replacement.

All rows of a draw have the same sources, and each is read off its own curve of that draw, so that an interval also
holds what is uncertain about the strength. Figures of a whole set, such as KID, have none. Ours.

Legend: N sources, P prompts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from where2edit.evaluation.figures import REPLICATES, read_metrics
from where2edit.evaluation.matched import Ends, Figures, crossing, from_no_op
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.intervals import draws, ends
from where2edit.evaluation.runner import ProtocolRunner
from where2edit.evaluation.table import PlannedTable

LEVEL = 0.95  # share of the draws that an interval holds; a row of which fewer reach the rise has none

Scores = dict[str, dict[float, dict[str, Tensor]]]  # row -> strength -> metric -> the score of every edit [N,P]


def matched_intervals(runner: ProtocolRunner, table: PlannedTable) -> dict[str, dict[str, Ends]]:
    """The ends {row: {metric: (low, high)}} of the figures at the rise that a table's protocol asks for.

    None for a single source, which has no spread.
    """
    if table.plan.n < 2:
        return {}
    rise, known = table.protocol.matched, scores(runner, table)
    assert rise is not None  # or no row is compared so
    found: dict[str, dict[str, list[float]]] = {}
    for pick in draws(table.plan.n, REPLICATES):
        for label, curve in from_no_op(table, drawn(known, pick)).items():
            _, figures = crossing(curve, rise) or (0.0, {})
            for name, value in figures.items():
                found.setdefault(label, {}).setdefault(name, []).append(value)
    return {
        label: {
            name: ends(torch.tensor(values, dtype=torch.float64), LEVEL)
            for name, values in figures.items()
            if len(values) >= LEVEL * REPLICATES
        }
        for label, figures in found.items()
    }


def scores(runner: ProtocolRunner, table: PlannedTable) -> Scores:
    """The scores of every edit of a crossed table, by row, strength and metric; without metrics of a whole set."""
    shape = table.plan.n, len(table.protocol.prompts)
    return {
        row.label: {
            strength: {name: score_grid(metric, *shape) for name, metric in metrics.items() if not metric.of_set}
            for strength, metrics in read_metrics(runner, table, row).items()
            if strength is not None
        }
        for row in table.rows
    }


def score_grid(metric: Metric, n: int, prompts: int) -> Tensor:
    """The scores [N,P] of a metric whose sample source * P + prompt is that pair's; nan where none counts."""
    state = metric.state()
    values = state["values"].double()
    counts = ~values.isnan().any(1)
    grid = values.new_full((n * prompts,), torch.nan)
    grid[state["index"][counts]] = metric.scores(values[counts])
    return grid.view(n, prompts)


def drawn(known: Scores, pick: Tensor) -> dict[str, dict[float, Figures]]:
    """The figures over all prompts of the sources `pick` [N]: the mean over prompts of means over sources.

    A metric is left out where none of their edits counts.
    """
    return {
        label: {strength: _means(grids, pick) for strength, grids in of_row.items()} for label, of_row in known.items()
    }


def _means(grids: dict[str, Tensor], pick: Tensor) -> Figures:
    means = {name: float(grid[pick].nanmean(0).nanmean()) for name, grid in grids.items()}
    return {name: value for name, value in means.items() if math.isfinite(value)}
