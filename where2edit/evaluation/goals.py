"""The last row of a crossed protocol prompt by prompt, and what was asked of it beside what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from where2edit.evaluation.figures import Figure
from where2edit.evaluation.protocols import Goal, Protocol


@dataclass(frozen=True)
class Outcome:
    """One goal and what became of it."""

    goal: Goal
    measured: float | None  # the mean over prompts, or the share of them; None where no sample counts
    met: bool
    below: tuple[str, ...]  # prompts whose own figure misses the bound
    unknown: tuple[str, ...]  # prompts of which no sample counts


def outcomes(protocol: Protocol, figures: list[Figure]) -> list[Outcome]:
    """What became of every goal that was measured, in the last row of the table."""
    last = protocol.rows[-1].label
    values = {(f.metric, f.prompt): f.interval for f in figures if f.row == last}
    known = {metric for metric, _ in values}
    return [outcome(goal, protocol, values) for goal in protocol.goals if goal.metric in known]


def outcome(goal: Goal, protocol: Protocol, values: dict) -> Outcome:
    """One goal over the prompts that it is for."""
    prompts = [prompt.text for prompt in protocol.prompts if goal.tag is None or goal.tag in prompt.tags]
    found = {prompt: values[goal.metric, prompt].value for prompt in prompts if values.get((goal.metric, prompt))}
    unknown = tuple(prompt for prompt in prompts if prompt not in found)
    if not found:
        return Outcome(goal, None, False, (), unknown)
    below = tuple(prompt for prompt, value in found.items() if not goal.holds(value))
    if goal.share is None:
        mean = sum(found.values()) / len(found)
        return Outcome(goal, mean, goal.holds(mean), below, unknown)
    share = 1 - len(below) / len(found)
    return Outcome(goal, share, share >= goal.share, below, unknown)


def asked(goal: Goal) -> str:
    """A goal in words."""
    bound = f"at least {goal.at_least:g}" if goal.at_least is not None else f"at most {goal.at_most:g}"
    who = "all prompts" if goal.tag is None else f"{goal.tag} prompts"
    over = f"mean over {who}" if goal.share is None else f"{goal.share:.0%} of {who}"
    return f"{goal.metric} {bound}, {over}"


def goal_table(protocol: Protocol, figures: list[Figure]) -> list[str]:
    """Every goal, what was measured, whether it is met, and which prompts miss it by themselves."""
    lines = ["| asked | measured | met | prompts that miss it by themselves |", "|---|---|---|---|"]
    for found in outcomes(protocol, figures):
        value = "–" if found.measured is None else f"{found.measured:.4g}"
        if found.goal.share is not None and found.measured is not None:
            value = f"{found.measured:.0%}"
        missing = ", ".join(found.below) or "none"
        if found.unknown:
            missing += f" (no image counts: {', '.join(found.unknown)})"
        lines.append(f"| {asked(found.goal)} | {value} | {'yes' if found.met else 'NO'} | {missing} |")
    return [*lines, ""]


def prompt_table(protocol: Protocol, figures: list[Figure], number) -> list[str]:
    """The last row's figure of every prompt, with the number of samples where not all count.

    number: (metric, value) -> text.
    """
    last = protocol.rows[-1].label
    mine = {(f.metric, f.prompt): f for f in figures if f.row == last and f.prompt is not None}
    names = list(dict.fromkeys(metric for metric, _ in mine))
    whole = max((f.interval.n for f in mine.values() if f.interval), default=0)
    lines = [f"*{last}*, prompt by prompt (n = {whole} unless another is given):\n"]
    lines += ["| prompt | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1)]
    for prompt in protocol.prompts:
        cells = [cell(mine[name, prompt.text], whole, number) for name in names]
        lines.append(f"| {prompt.text} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def cell(figure: Figure, whole: int, number) -> str:
    """One figure of one prompt."""
    if figure.interval is None:
        return "–"
    text = number(figure.metric, figure.interval.value)
    if figure.interval.n != whole:
        text += f" (n = {figure.interval.n})"
    return text + f" ({figure.detail})" * bool(figure.detail)
