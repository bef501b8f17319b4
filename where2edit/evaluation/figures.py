"""From measured numbers on disk to figures: value, interval and test of every metric of every row."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.intervals import Interval, better_than
from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.runner import Contestant, Runner
from where2edit.evaluation.samples import Plan, lanes

REPLICATES = 200
FEW_REPLICATES = 20  # of a figure of a large set, each of which takes seconds


@dataclass(frozen=True)
class Figure:
    """One number of a report."""

    row: str
    metric: str
    interval: Interval | None  # None: no sample counts
    strength: float | None = None
    prompt: str | None = None  # None: all prompts together
    detail: str = ""  # what the metric adds in words


def collect(
    runner: Runner, protocol: Protocol, plan: Plan, contestant: Contestant
) -> dict[float | None, dict[str, Metric]]:
    """The filled metrics of one row by strength. Raises ValueError when a sample is missing."""
    store, names = runner.store(protocol, contestant), runner.metrics(protocol)
    found: dict[float | None, dict[str, Metric]] = {}
    for chunk in plan.chunks():
        for lane in lanes(protocol, plan, chunk):
            values = store.read(lane, chunk, names)
            if values is None:
                raise ValueError(f"{store.path(lane, chunk)} is missing or unfinished; run the same command again")
            metrics = found.setdefault(lane.strength, {name: METRICS.get(name)(runner.tools) for name in names})
            for name in names:
                metrics[name].insert(lane.index, values[name])
    return found


def figures(runner: Runner, protocol: Protocol, plan: Plan, contestant: Contestant) -> list[Figure]:
    """Every figure of one row: over all prompts, and with `plan.crossed` of each prompt too."""
    result = []
    for strength, metrics in collect(runner, protocol, plan, contestant).items():
        for name, metric in metrics.items():
            parts = by_prompt(metric, protocol) if plan.crossed else {}
            found = {prompt: interval(part) for prompt, part in parts.items()}
            whole = average(list(found.values())) if parts else interval(metric)
            row = contestant.row.label
            result.append(Figure(row, name, whole, strength, None, detail(metric)))
            result += [Figure(row, name, found[p], strength, p, detail(part)) for p, part in parts.items()]
    return result


def detail(metric: Metric) -> str:
    rows = metric.rows()
    return metric.detail(rows) if len(rows) else ""


def interval(metric: Metric) -> Interval | None:
    """The figure with its bootstrap interval; None where no sample counts."""
    rows = metric.rows()
    if not len(rows):
        return None
    return metric.interval(FEW_REPLICATES if metric.of_set and len(rows) > 500 else REPLICATES)


def by_prompt(metric: Metric, protocol: Protocol) -> dict[str, Metric]:
    """The metric of each prompt's samples; sample i belongs to prompt i mod P."""
    state, found = metric.state(), {}
    for number, prompt in enumerate(protocol.prompts):
        chosen = state["index"] % len(protocol.prompts) == number
        part = type(metric)(metric.tools)
        part.insert(state["index"][chosen], state["values"][chosen])
        found[prompt.text] = part
    return found


def average(parts: list[Interval | None]) -> Interval | None:
    """The mean over prompts, as the paper averages; the spreads of prompts add up as those of separate samples."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    value = sum(part.value for part in known) / len(known)
    below = math.sqrt(sum((part.value - part.low) ** 2 for part in known)) / len(known)
    above = math.sqrt(sum((part.high - part.value) ** 2 for part in known)) / len(known)
    return Interval(value, value - below, value + above, sum(part.n for part in known))


def test(ours: Metric, theirs: Metric) -> float:
    """p-value of the null hypothesis that `ours` is not better than `theirs`, over the samples that count in both."""
    values = [metric.state()["values"].double() for metric in (ours, theirs)]
    both: Tensor = ~torch.isnan(torch.cat(values, 1)).any(1)
    return better_than(*(ours.scores(value[both]) for value in values), higher_is_better=ours.higher_is_better)
