"""Whether goals are met: the bounds that a protocol sets for the figures of its last row."""

from __future__ import annotations

from dataclasses import dataclass

from where2edit.core.sentences import figure
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.intervals import Interval
from where2edit.evaluation.protocols import Goal, Protocol
from where2edit.evaluation.table import Table


@dataclass(frozen=True)
class Outcome:
    """A goal beside what was measured."""

    goal: Goal
    measured: float | None  # the mean over prompts, or the share of prompts that keep the bound; None: nothing counts
    met: bool
    below: tuple[str, ...]  # prompts whose own figure misses the bound, from either side
    unknown: tuple[str, ...]  # prompts of which no sample counts


def outcomes(table: Table) -> list[Outcome]:
    """The outcome of every goal whose metric was measured."""
    last = table.protocol.rows[-1].label
    values = {(f.metric, f.prompt): f.interval for f in table.figures if f.row == last}
    known = {metric for metric, _ in values}
    return [outcome(goal, table.protocol, values) for goal in table.protocol.goals if goal.metric in known]


def outcome(goal: Goal, protocol: Protocol, values: dict[tuple[str, str | None], Interval | None]) -> Outcome:
    """The outcome of one goal; `values` holds the interval of each (metric, prompt)."""
    prompts = [prompt.text for prompt in protocol.prompts if goal.tag is None or goal.tag in prompt.tags]
    found = {prompt: values[goal.metric, prompt].value for prompt in prompts if values.get((goal.metric, prompt))}
    unknown = tuple(prompt for prompt in prompts if prompt not in found)
    whole = values.get((goal.metric, None))
    if METRICS.get(goal.metric).of_inversion and whole is not None:  # no prompt has a part in it
        return Outcome(goal, whole.value, goal.holds(whole.value), (), ())
    if not found:
        return Outcome(goal, None, False, (), unknown)
    below = tuple(prompt for prompt, value in found.items() if not goal.holds(value))
    if goal.share is None:
        mean = sum(found.values()) / len(found)
        return Outcome(goal, mean, goal.holds(mean), below, unknown)
    share = 1 - len(below) / len(found)
    return Outcome(goal, share, share >= goal.share, below, unknown)


def goal_in_words(goal: Goal) -> str:
    """A goal in words."""
    bound = f"at least {goal.at_least:g}" if goal.at_least is not None else f"at most {goal.at_most:g}"
    whole = "all photos" if METRICS.get(goal.metric).of_inversion else "all prompts"
    who = whole if goal.tag is None else f"{goal.tag} prompts"
    over = f"mean over {who}" if goal.share is None else f"{goal.share:.0%} of {who}"
    return f"{goal.metric} {bound}, {over}"


def goal_table(table: Table) -> list[str]:
    """One line for each goal: what was measured, whether it is met, and which prompts alone miss the bound."""
    lines = ["| asked | measured | met | prompts that miss it by themselves |", "|---|---|---|---|"]
    for found in outcomes(table):
        value = figure(found.measured, ".4g" if found.goal.share is None else ".0%")
        missing = ", ".join(found.below) or "none"
        if found.unknown:
            missing += f" (no image counts: {', '.join(found.unknown)})"
        lines.append(f"| {goal_in_words(found.goal)} | {value} | {'yes' if found.met else 'NO'} | {missing} |")
    return [*lines, ""]
