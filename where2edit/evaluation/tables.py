"""Figures as Markdown tables: rows by metrics, rows and strengths by metrics, prompts by metrics."""

from __future__ import annotations

import math
from itertools import product

from where2edit.core.sentences import figure
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.intervals import Interval
from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.table import Figure, Table

# Metrics whose names begin so are shares.
IN_PER_CENT = ("success", "reached", "changed_outside", "mask_on", "overshoot")
ARROWS = {True: " ↑", False: " ↓", None: ""}  # by whether higher is better


def main_table(table: Table) -> list[str]:
    """Rows by metrics; beside each metric of which the paper printed numbers, a column of its own."""
    protocol = table.protocol
    measured = {(f.row, f.metric): f.interval for f in table.figures if f.prompt is None}
    names = list(dict.fromkeys(f.metric for f in table.figures))
    printed = [name for name in names if any(name in row for row in protocol.paper.values())]
    head = ["row"]
    for name in names:
        head += [name + ARROWS[METRICS.get(name).higher_is_better]] + ["paper"] * (name in printed)
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for label in dict.fromkeys([*(row.label for row in table.rows), *protocol.paper]):
        cells = [label]
        for name in names:
            cells.append(with_interval(name, measured.get((label, name))))
            if name in printed:
                value = protocol.paper.get(label, {}).get(name)
                cells.append("" if value is None else number(name, value))
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def strength_table(table: Table) -> list[str]:
    """One line for each row and strength."""
    names = list(dict.fromkeys(f.metric for f in table.figures))
    measured = {(f.row, f.strength, f.metric): f.interval for f in table.figures if f.prompt is None}
    lines = ["| row | strength | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 2)]
    for label, strength in dict.fromkeys((f.row, f.strength) for f in table.figures):
        cells = [with_interval(name, measured.get((label, strength, name))) for name in names]
        lines.append(f"| {label} | {strength:g} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def rows_by_prompts(table: Table, metric: str) -> list[str]:
    """One metric of every row, prompt by prompt; a dash where a row does not edit by a prompt."""
    texts = [prompt.text for prompt in table.protocol.prompts]
    found = {(f.row, f.prompt): f.interval for f in table.figures if f.metric == metric}
    lines = [f"`{metric}` of every row, prompt by prompt:\n"]
    lines += ["| row | " + " | ".join(texts) + " |", "|" + "---|" * (len(texts) + 1)]
    for row in table.rows:
        intervals = [found.get((row.label, text)) for text in texts]
        cells = ["–" if each is None else number(metric, each.value) for each in intervals]
        lines.append("| " + " | ".join([row.label, *cells]) + " |")
    return [*lines, ""]


def printed_table(protocol: Protocol) -> list[str]:
    """What papers printed of other methods, none of it measured here."""
    columns = list(dict.fromkeys(name for numbers in protocol.printed.values() for name in numbers))
    lines = ["\n### As printed in the papers of others: another generator, other photos, other measures\n"]
    lines += ["| method | " + " | ".join(columns) + " |", "|" + "---|" * (len(columns) + 1)]
    for method, numbers in protocol.printed.items():
        cells = [f"{numbers[name]:g}" if name in numbers else "–" for name in columns]
        lines.append("| " + " | ".join([method, *cells]) + " |")
    return [*lines, ""]


def prompt_table(table: Table) -> list[str]:
    """One line for each prompt (and strength) of the table's last row.

    A figure over fewer samples than the others says so.
    """
    last, several = table.rows[-1].label, table.rows[-1].strengths or table.protocol.strengths
    mine = {(f.metric, f.prompt, f.strength): f for f in table.figures if f.row == last and f.prompt is not None}
    names = list(dict.fromkeys(metric for metric, _, _ in mine))
    whole = max((f.interval.n for f in mine.values() if f.interval), default=0)
    lines = [f"*{last}*, prompt by prompt (n = {whole} unless another is given):\n"]
    lines += ["| prompt | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1)]
    texts = (prompt.text for prompt in table.protocol.prompts)
    for prompt, strength in product(texts, several or (table.rows[-1].strength,)):
        cells = [_prompt_cell(mine[name, prompt, strength], whole) for name in names]
        label = f"{prompt}, {strength:g}" if several else prompt
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _prompt_cell(figure: Figure, whole: int) -> str:
    """One figure of one prompt; `whole` is the number of samples that needs no mention."""
    if figure.interval is None:
        return "–"
    text = number(figure.metric, figure.interval.value)
    if figure.interval.n != whole:
        text += f" (n = {figure.interval.n})"
    return text + f" ({figure.detail})" * bool(figure.detail)


def number(metric: str, value: float) -> str:
    """A figure in four significant digits, shares in per cent; a dash where it is not defined (nan)."""
    if metric.startswith(IN_PER_CENT):
        return figure(100 * value, ".2f", " %")
    return "0" if abs(value) <= 5e-9 else figure(value, ".4g")


def with_interval(metric: str, interval: Interval | None) -> str:
    """A figure with its interval; a dash where no sample counts."""
    if interval is None:
        return "–"
    if not math.isfinite(interval.low):
        return number(metric, interval.value)  # a single sample has no spread
    return f"{number(metric, interval.value)} [{number(metric, interval.low)}, {number(metric, interval.high)}]"
