"""From measured numbers on disk to figures: value and interval of every metric of every row."""

from __future__ import annotations

import math

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.intervals import Interval
from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.runner import ProtocolRunner
from where2edit.evaluation.table import BuiltRow, Figure, PlannedTable, Table

REPLICATES = 200  # of a bootstrap interval
LARGE_SET = 500  # with more samples one replicate of a figure of the whole set (such as FID) takes seconds
FEW_REPLICATES = 20  # of the interval of such a figure


def finished_table(runner: ProtocolRunner, table: PlannedTable) -> Table:
    """The table with its figures. Raises ValueError while a sample is missing."""
    found = [figure for row in table.rows for figure in row_figures(runner, table, row)]
    return Table(table.protocol, table.plan, table.rows, table.left_out, found)


def row_figures(runner: ProtocolRunner, table: PlannedTable, row: BuiltRow) -> list[Figure]:
    """Every figure of one row over all prompts, and, where the plan is crossed, of each prompt."""
    result = []
    for asked, metrics in read_metrics(runner, table, row).items():
        strength = row.strength if asked is None else asked
        for name, metric in metrics.items():
            parts = by_prompt(metric, table.protocol) if table.plan.crossed else {}
            found = {prompt: interval(part) for prompt, part in parts.items()}
            whole = average(list(found.values())) if parts else interval(metric)
            result.append(Figure(row.label, name, whole, strength, None, detail(metric)))
            result += [Figure(row.label, name, found[p], strength, p, detail(part)) for p, part in parts.items()]
    return result


def read_metrics(runner: ProtocolRunner, table: PlannedTable, row: BuiltRow) -> dict[float | None, dict[str, Metric]]:
    """The metrics of one row by strength, filled from disk. Raises ValueError when a sample is missing."""
    store, names = runner.store(table.protocol, row), runner.metrics(table.protocol)
    found: dict[float | None, dict[str, Metric]] = {}
    for chunk in table.plan.chunks():
        for asked in table.batches(row, chunk):
            values = store.read(asked, chunk, names)
            if values is None:
                raise ValueError(f"{store.path(asked, chunk)} is missing or unfinished; run the same command again")
            metrics = found.setdefault(asked.strength, {name: METRICS.get(name)(runner.networks) for name in names})
            for name in names:
                metrics[name].insert(asked.index, values[name])
    return found


def by_prompt(metric: Metric, protocol: Protocol) -> dict[str, Metric]:
    """The metric of each prompt's samples; sample i belongs to prompt i mod P."""
    state, found = metric.state(), {}
    for number, prompt in enumerate(protocol.prompts):
        chosen = state["index"] % len(protocol.prompts) == number
        part = type(metric)(metric.networks)
        part.insert(state["index"][chosen], state["values"][chosen])
        found[prompt.text] = part
    return found


def interval(metric: Metric) -> Interval | None:
    """The figure with its bootstrap interval; None where no sample counts, or fewer than the metric needs."""
    count = len(metric.valid_values())
    if count < metric.fewest:
        return None
    return metric.interval(FEW_REPLICATES if metric.of_set and count > LARGE_SET else REPLICATES)


def detail(metric: Metric) -> str:
    """What the metric adds to its figure in words; "" where no sample counts."""
    values = metric.valid_values()
    return metric.detail(values) if len(values) else ""


def average(parts: list[Interval | None]) -> Interval | None:
    """The mean over prompts, as the paper averages; None where no prompt has a figure.

    Prompts count as independent: the two halves of the interval are roots of summed squares.
    """
    known = [part for part in parts if part is not None and math.isfinite(part.value)]
    if not known:
        return None
    value = sum(part.value for part in known) / len(known)
    below = math.sqrt(sum((part.value - part.low) ** 2 for part in known)) / len(known)
    above = math.sqrt(sum((part.high - part.value) ** 2 for part in known)) / len(known)
    return Interval(value, value - below, value + above, sum(part.n for part in known))
