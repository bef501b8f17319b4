"""Rows of a table over strengths, compared where the judge's probability has risen by the same in each.

Strengths of two methods mean nothing beside each other, and what an edit costs grows with its strength. A row's figures
are therefore read off its own curve over strengths, which begins at strength 0 with those of the no-op, at the first
strength at which the judge's mean rise is the one that the protocol asks for (`matched`); between two strengths that
were measured a figure is a straight line. Ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from where2edit.core.sentences import figure
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.intervals import Interval
from where2edit.evaluation.table import PlannedTable, Table
from where2edit.evaluation.tables import ARROWS, with_interval

RISE = "judge_gain"
NO_OP = "no-op"  # the method whose figures are those of strength 0

Figures = dict[str, float]  # metric -> value
Ends = tuple[float, float]  # of an interval
NO_ENDS = (math.nan, math.nan)


def matched_table(table: Table, ends: Mapping[str, Mapping[str, Ends]]) -> list[str]:
    """Rows by metrics at the strength at which each has the rise that the protocol asks for.

    ends: of the intervals, by row and metric (matched_intervals.py), where there are any.
    """
    rise = table.protocol.matched
    assert rise is not None  # or there is no such table
    names = [name for name in dict.fromkeys(f.metric for f in table.figures) if name != RISE]
    head = ["row", "strength", *(name + ARROWS[METRICS.get(name).higher_is_better] for name in names)]
    lines = [f"Every row at the strength at which the judge's mean rise is {rise:g} (evaluation/matched.py):\n"]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for label, curve in curves(table).items():
        found = crossing(curve, rise)
        if found is None:
            most = max(figures[RISE] for figures in curve.values())
            cells = [f"its largest rise is {figure(most, '.2f')}", *("–" for _ in names)]
        else:
            strength, figures = found
            own = ends.get(label, {})
            known = {name: Interval(value, *own.get(name, NO_ENDS), table.plan.n) for name, value in figures.items()}
            cells = [figure(strength, ".3g"), *(with_interval(name, known.get(name)) for name in names)]
        lines.append("| " + " | ".join([label, *cells]) + " |")
    return [*lines, ""]


def curves(table: Table) -> dict[str, dict[float, Figures]]:
    """The figures over all prompts, {row: {strength: {metric: value}}}, from strength 0 on."""
    found: dict[str, dict[float, Figures]] = {}
    for f in table.figures:
        if f.prompt is None and f.interval is not None and isinstance(f.strength, float | int):
            found.setdefault(f.row, {}).setdefault(f.strength, {})[f.metric] = f.interval.value
    return from_no_op(table, found)


def from_no_op(table: PlannedTable, found: dict[str, dict[float, Figures]]) -> dict[str, dict[float, Figures]]:
    """Curves {row: {strength: figures}} with those of strength 0 in front, the no-op's where the table has one.

    The no-op and rows without a rise are left out.
    """
    nothing = {row.label for row in table.protocol.rows if row.method == NO_OP}
    start = next((next(iter(found[label].values())) for label in nothing if label in found), {})
    return {
        label: {0.0: {**start, RISE: 0.0}, **dict(sorted(curve.items()))}
        for label, curve in found.items()
        if label not in nothing and all(RISE in figures for figures in curve.values())
    }


def crossing(curve: dict[float, Figures], rise: float) -> tuple[float, Figures] | None:
    """The first strength at which a curve has that rise, and its figures there; None where it never has."""
    for (s0, low), (s1, high) in pairwise(curve.items()):
        if low[RISE] <= rise <= high[RISE]:
            share = (rise - low[RISE]) / (high[RISE] - low[RISE]) if high[RISE] > low[RISE] else 0.0
            between = {k: (1 - share) * low[k] + share * high[k] if k in low else high[k] for k in high}
            return (1 - share) * s0 + share * s1, between
    return None
