"""The report of an evaluation: report.md, figures.jsonl, plots and contact sheets.

Everything is a function of the measured numbers, so that the same numbers give the same bytes. Times differ from run to
run and have a page of their own, times.md.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from where2edit.evaluation.figures import Figure, collect, figures, test
from where2edit.evaluation.goals import goal_table, prompt_table
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.intervals import Interval
from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.runner import SHEET_CELL, Contestant, Runner
from where2edit.evaluation.samples import Plan, prompt_of
from where2edit.files import pictures
from where2edit.files.atomic import atomic_write

SHARES = ("success", "changed_outside", "mask_on")  # metrics that are written in per cent
LACKING = {
    "heldout_encoder": "name a text-image encoder that no training saw with `--heldout`",
    "real_features": "give a folder of real photos with `--real`",
    "inception_logits": "give the classifier of the Inception network with `--inception-logits`",
    "judge": "the judge's weights are not here; train them with scripts/train_judge.py",
}
ARROWS = {True: " ↑", False: " ↓", None: ""}


@dataclass(frozen=True)
class Facts:
    """What every figure is labelled with."""

    profile: str
    generator: str
    encoder: str
    heldout: str  # text-image encoder that no training saw, as --heldout named it; "" for none
    config: str  # digest of the resolved config
    weights: str  # sha256 of the editor's weights; "" for an untrained one
    commit: str  # "" outside a repository


@dataclass(frozen=True)
class Table:
    """A protocol that was run: its rows, figures, and the rows that were left out with the reason."""

    protocol: Protocol
    plan: Plan
    contestants: list[Contestant]
    figures: list[Figure]
    left_out: dict[str, str]


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_write(path) as file:
        file.write_text(text, encoding="utf-8")


def write(folder: Path, runner: Runner, tables: list[Table], facts: Facts) -> list[Path]:
    """Write everything below `folder` and return the pages."""
    pages = {"report.md": [t for t in tables if t.protocol.kind != "time"]}
    pages["times.md"] = [t for t in tables if t.protocol.kind == "time"]
    written = []
    for name, chosen in pages.items():
        if chosen:
            parts = [heading(facts), *(section(folder, runner, table) for table in chosen)]
            write_text(folder / name, "\n".join(parts))
            lines = "".join(json.dumps(line, sort_keys=True) + "\n" for t in chosen for line in records(t, facts))
            write_text(folder / name.replace("report.md", "figures.jsonl").replace("times.md", "times.jsonl"), lines)
            written.append(folder / name)
    return written


def heading(facts: Facts) -> str:
    heldout = f", held-out encoder `{facts.heldout}`" if facts.heldout else ""
    weights = facts.weights[:12] or "none: the editor is untrained and its rows mean nothing"
    return (
        f"# Evaluation of `{facts.profile}`\n\n"
        f"Generator `{facts.generator}`, text-image encoder `{facts.encoder}`{heldout}; config {facts.config}, "
        f"editor weights {weights}, commit {facts.commit[:12] or 'unknown'}.\n"
        "Columns named *paper* are numbers that the paper printed, obtained with StyleGAN2 and CLIP on its own prompts;"
        " all others were measured here, with the generator and the encoder above. Brackets hold 95 % bootstrap "
        "intervals.\n"
    )


def section(folder: Path, runner: Runner, table: Table) -> str:
    """One table with its notes, tests and pictures."""
    protocol, plan = table.protocol, table.plan
    how = f"every prompt on each of {plan.n} sources" if plan.crossed else f"{plan.n} pairs of source and prompt"
    if protocol.kind == "sequential":
        how = f"{plan.n} sources"
    how = f"{how[0].upper()}{how[1:]}, prompts from: {protocol.prompts_from}, first seed {plan.seed}.\n"
    lines = [f"## {protocol.title}\n", how]
    lines += strength_table(table) if protocol.kind == "strength" else main_table(table)
    if plan.crossed and len(protocol.prompts) > 1:
        lines += prompt_table(protocol, table.figures, number)
    if protocol.goals:
        lines += goal_table(protocol, table.figures)
    lines += [f"- `{name}`: {METRICS.get(name).protocol}." for name in runner.metrics(protocol)]
    missing = runner.unavailable(protocol)
    lines += [f"- `{name}` was left out: {LACKING.get(tool, f'there is no {tool}')}." for name, tool in missing.items()]
    lines += [f"- Row *{label}* was left out: {reason}." for label, reason in table.left_out.items()]
    lines += [f"- {note}" for note in protocol.notes]
    lines += [f"- {sentence}" for sentence in tests(runner, table)]
    lines += [f"\n![{path.stem}]({path.relative_to(folder)})" for path in illustrate(folder, runner, table)]
    return "\n".join(lines) + "\n"


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
    for label in dict.fromkeys([*(c.row.label for c in table.contestants), *protocol.paper]):
        cells = [label]
        for name in names:
            cells.append(written(name, measured.get((label, name))))
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
    for label in [c.row.label for c in table.contestants]:
        for strength in table.protocol.strengths:
            cells = [written(name, measured.get((label, strength, name))) for name in names]
            lines.append(f"| {label} | {strength:g} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def number(metric: str, value: float) -> str:
    """A figure in four significant digits, shares in per cent."""
    if metric.startswith(SHARES):
        return f"{100 * value:.2f} %"
    return f"{value:.4g}" if abs(value) > 5e-9 else "0"


def written(metric: str, interval: Interval | None) -> str:
    """A figure with its interval; a dash where no sample counts."""
    if interval is None:
        return "–"
    if not math.isfinite(interval.low):
        return number(metric, interval.value)  # a single sample has no spread
    return f"{number(metric, interval.value)} [{number(metric, interval.low)}, {number(metric, interval.high)}]"


def records(table: Table, facts: Facts) -> list[dict]:
    """One JSON object for each figure."""
    lines = []
    for f in table.figures:
        value = {key: getattr(f.interval, key, None) for key in ("value", "low", "high", "n")}
        value = {key: v if v == v else None for key, v in value.items()}  # JSON has no not-a-number
        identity = {"protocol": table.protocol.name, "row": f.row, "metric": f.metric, "prompt": f.prompt}
        lines.append(identity | {"strength": f.strength, "seed": table.plan.seed, **value, **vars(facts)})
    return lines


def tests(runner: Runner, table: Table) -> list[str]:
    """The paper's one-sided test of the last row against each row before it."""
    protocol, known = table.protocol, set(runner.metrics(table.protocol))
    names = [name for name in protocol.tests if name in known]
    if not names or len(table.contestants) < 2:
        return []
    filled = [collect(runner, protocol, table.plan, c)[None] for c in table.contestants]
    ours, sentences = table.contestants[-1].row.label, []
    for contestant, metrics in zip(table.contestants[:-1], filled[:-1], strict=True):
        found = []
        for name in names:
            try:
                found.append(f"{name} p = {test(filled[-1][name], metrics[name]):.2g}")
            except ValueError:
                found.append(f"{name} has too few samples")
        other = contestant.row.label
        sentences.append(f"Null hypothesis that *{ours}* is not better than *{other}*: {', '.join(found)}.")
    return sentences


def illustrate(folder: Path, runner: Runner, table: Table) -> list[Path]:
    """Plots where the protocol has one, and the contact sheet of the last row."""
    from where2edit.evaluation import plots

    paths = []
    if table.protocol.kind == "strength":
        paths.append(plots.strength_curves(table.figures, folder / f"{table.protocol.name}.png"))
    if table.protocol.kind == "masks" and "mask_iou" in runner.metrics(table.protocol):
        paths.append(plots.region_bars(runner, table, folder / f"{table.protocol.name}.png"))
    sheet = contact_sheet(folder / f"{table.protocol.name}-sheet.png", runner, table)
    return paths + ([sheet] if sheet else [])


def contact_sheet(path: Path, runner: Runner, table: Table) -> Path | None:
    """Source, edit, mask and difference of the first samples of the last row."""
    store = runner.store(table.protocol, table.contestants[-1])
    kinds = ("source", "mask") if table.protocol.kind == "masks" else ("source", "edit", "mask", "difference")
    rows, labels = [], []
    for index in range(table.plan.sheet):
        files = [store.picture(index, kind) for kind in kinds]
        if all(file.is_file() for file in files):
            rows.append([pictures.load_image(file)[0] for file in files])
            labels.append(prompt_of(table.protocol, table.plan, index).text)
    if table.protocol.kind == "sequential":
        labels = [", then ".join(prompt.text for prompt in table.protocol.prompts)] * len(rows)
    cell = SHEET_CELL if len(rows) <= 12 else SHEET_CELL // 2
    return pictures.save_png(pictures.sheet(rows, labels, kinds, cell), path) if rows else None


def table_of(runner: Runner, protocol: Protocol, plan: Plan, contestants: list[Contestant], left_out: dict) -> Table:
    """A finished protocol as a table. Raises ValueError while a sample is missing."""
    found = [figure for contestant in contestants for figure in figures(runner, protocol, plan, contestant)]
    return Table(protocol, plan, contestants, found, left_out)
