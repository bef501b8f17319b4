"""The paper's one-sided t-test of the last row of a table against each row before it, in sentences."""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.core.sentences import figure
from where2edit.evaluation.figures import read_metrics
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.intervals import better_than
from where2edit.evaluation.runner import ProtocolRunner
from where2edit.evaluation.table import PlannedTable


def significance_sentences(runner: ProtocolRunner, table: PlannedTable) -> list[str]:
    """One sentence for each row before the last, with the p-value of every metric that the protocol tests."""
    known = set(runner.metrics(table.protocol))
    names = [name for name in table.protocol.tests if name in known]
    if not names or len(table.rows) < 2:
        return []
    *others, ours = [read_metrics(runner, table, row)[None] for row in table.rows]
    label, sentences = table.rows[-1].label, []
    for row, metrics in zip(table.rows[:-1], others, strict=True):
        found = ", ".join(f"{name} {_in_words(ours[name], metrics[name])}" for name in names)
        sentences.append(f"Null hypothesis that *{label}* is not better than *{row.label}*: {found}.")
    return sentences


def _in_words(ours: Metric, theirs: Metric) -> str:
    try:
        return f"p = {figure(p_value(ours, theirs), '.2g')}"
    except ValueError:
        return "has too few samples"


def p_value(ours: Metric, theirs: Metric) -> float:
    """The p-value of the null hypothesis that `ours` is not better than `theirs`, over the samples that count in both.

    Raises ValueError for fewer than two such samples.
    """
    values = [metric.state()["values"].double() for metric in (ours, theirs)]
    both: Tensor = ~torch.isnan(torch.cat(values, 1)).any(1)
    return better_than(*(ours.scores(value[both]) for value in values), higher_is_better=ours.higher_is_better)
