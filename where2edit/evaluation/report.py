"""The report of an evaluation: report.md, figures.jsonl, plots and sample sheets.

It depends on the measured numbers alone, so that the same numbers give the same bytes. Times differ from run to run and
have a page of their own, times.md, with times.jsonl.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from where2edit.evaluation.costs import costs_table
from where2edit.evaluation.goals import goal_table
from where2edit.evaluation.matched import matched_table
from where2edit.evaluation.matched_intervals import matched_intervals
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.natural_faces import FIRST_SEED
from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.rows_sheet import rows_sheet
from where2edit.evaluation.runner import ProtocolRunner
from where2edit.evaluation.sample_sheet import sample_sheet
from where2edit.evaluation.significance import significance_sentences
from where2edit.evaluation.table import Table
from where2edit.evaluation.tables import main_table, printed_table, prompt_table, rows_by_prompts, strength_table
from where2edit.files.atomic import write_text

FIGURES, TIMES = "figures.jsonl", "times.jsonl"  # beside report.md and times.md
LACKING = {
    "heldout_encoder": "name a text-image encoder that no training saw with `--heldout`",
    "real_features": "give a folder of real photos with `--real`",
    "inception_logits": "give the classifier of the Inception network with `--inception-logits`",
    "natural_faces": "ask for natural examples with `--natural-faces`",
    "judge": "the judge's weights are not here; train them with scripts/train_judge.py",
}


@dataclass(frozen=True)
class Provenance:
    """What every figure is labelled with: where it comes from."""

    profile: str
    generator: str
    encoder: str
    heldout: str  # text-image encoder that no training saw, as --heldout named it; "" for none
    config: str  # digest of the resolved config
    weights: str  # sha256 of the editor's weights; "" for an untrained one, "not needed" where nothing is learnt
    commit: str  # "" outside a repository


def write(folder: Path, runner: ProtocolRunner, tables: list[Table], provenance: Provenance) -> list[Path]:
    """Write pages, figures, plots and sheets below `folder`; returns the pages."""
    timed = [table for table in tables if table.protocol.kind == "time"]
    others = [table for table in tables if table.protocol.kind != "time"]
    written = []
    for page, lines, chosen in (("report.md", FIGURES, others), ("times.md", TIMES, timed)):
        if chosen:
            parts = [heading(provenance), *(section(folder, runner, table) for table in chosen)]
            write_text(folder / page, "\n".join(parts))
            found = [line for table in chosen for line in records(table, provenance)]
            write_text(folder / lines, "".join(json.dumps(line, sort_keys=True) + "\n" for line in found))
            written.append(folder / page)
    return written


def heading(provenance: Provenance) -> str:
    """The title of a page and what its figures come from."""
    return (
        f"# Evaluation of `{provenance.profile}`\n\n{origin(provenance)}"
        "Columns named *paper* are numbers that the paper printed, obtained with StyleGAN2 and CLIP on its own prompts;"
        " all others were measured here, with the generator and the encoder above. Brackets hold 95 % bootstrap "
        "intervals.\n"
    )


def origin(provenance: Provenance) -> str:
    """What the figures of a page come from, as a line."""
    heldout = f", held-out encoder `{provenance.heldout}`" if provenance.heldout else ""
    weights = provenance.weights[:12] or "none: the editor is untrained and its rows mean nothing"
    return (
        f"Generator `{provenance.generator}`, text-image encoder `{provenance.encoder}`{heldout}; config "
        f"{provenance.config}, editor weights {weights}, commit {provenance.commit[:12] or 'unknown'}.\n"
    )


def section(folder: Path, runner: ProtocolRunner, table: Table) -> str:
    """One table with its notes, tests and pictures."""
    protocol = table.protocol
    lines = [f"## {protocol.title}\n", sampling_sentence(table)]
    lines += strength_table(table) if protocol.kind == "strength" else main_table(table)
    lines += matched_table(table, matched_intervals(runner, table)) if protocol.matched is not None else []
    lines += costs_table(table) if protocol.kind == "time" else []
    lines += [line for name in protocol.by_prompt for line in rows_by_prompts(table, name)]
    if table.plan.crossed and len(protocol.prompts) > 1 and not protocol.by_prompt:
        lines += prompt_table(table)
    if protocol.goals:
        lines += goal_table(table)
    lines += [f"- `{name}`: {METRICS.get(name).protocol}." for name in runner.metrics(protocol)]
    lines += natural_sentence(runner, protocol) + prompts_without_figure(table)
    missing = runner.unavailable(protocol)
    lines += [f"- `{name}` was left out: {LACKING.get(need, f'there is no {need}')}." for name, need in missing.items()]
    lines += [f"- Row *{label}* was left out: {reason}." for label, reason in table.left_out.items()]
    lines += [f"- {note}" for note in protocol.notes]
    lines += [f"- {sentence}" for sentence in significance_sentences(runner, table)]
    lines += printed_table(protocol) if protocol.printed else []
    lines += [f"\n![{path.stem}]({path.relative_to(folder)})" for path in illustrate(folder, runner, table)]
    return "\n".join(lines) + "\n"


def sampling_sentence(table: Table) -> str:
    """How many samples the table has, where its prompts come from, and its first seed."""
    plan = table.plan
    how = f"every prompt on each of {plan.n} sources" if plan.crossed else f"{plan.n} pairs of source and prompt"
    if table.protocol.kind == "sequential":
        how = f"{plan.n} sources"
    prompts = f"prompts from: {table.protocol.prompts_from}, first seed {plan.seed}{strength_words(table)}"
    return f"{how[0].upper()}{how[1:]}, {prompts}.\n"


def strength_words(table: Table) -> str:
    """The strength of the table's edits, row by row where they differ; "" where the protocol goes through several."""
    if table.protocol.strengths or not table.rows:
        return ""
    known = {row.label: "auto (natural)" if row.natural else f"{row.strength:g}" for row in table.rows}
    last = table.rows[-1].label
    others = ", ".join(f"*{label}* {value}" for label, value in known.items() if value != known[last])
    return f", strength {known[last]}" + (f" ({others})" if others else "")


def natural_sentence(runner: ProtocolRunner, protocol: Protocol) -> list[str]:
    """Where natural examples come from, for a table with a metric that reads them."""
    if not any("natural_faces" in METRICS.get(name).needs for name in runner.metrics(protocol)):
        return []
    faces = len(runner.networks["natural_faces"])
    return [f"- Natural examples were looked for among {faces} unedited generated faces, first seed {FIRST_SEED}."]


def prompts_without_figure(table: Table) -> list[str]:
    """One line for each metric that the last row lacks for some prompts, or altogether for want of samples."""
    last, found = table.rows[-1].label, {}
    for f in table.figures:
        if f.row == last and f.prompt is not None and f.interval is None:
            found.setdefault(f.metric, {})[f.prompt] = None
    few = {f.metric for f in table.figures if f.row == last and f.prompt is None and f.interval is None}
    needs = [(name, METRICS.get(name).fewest) for name in sorted(few) if METRICS.get(name).fewest > 1]
    lines = [f"- `{name}` needs at least {fewest} samples." for name, fewest in needs]
    return lines + [f"- `{name}` leaves out {', '.join(p)}: {METRICS.get(name).absent}." for name, p in found.items()]


def records(table: Table, provenance: Provenance) -> list[dict]:
    """One JSON object for each figure."""
    lines = []
    for f in table.figures:
        value = {key: getattr(f.interval, key, None) for key in ("value", "low", "high", "n")}
        value = {key: v if v is not None and math.isfinite(v) else None for key, v in value.items()}  # JSON has no nan
        identity = {"protocol": table.protocol.name, "row": f.row, "metric": f.metric, "prompt": f.prompt}
        lines.append(identity | {"strength": f.strength, "seed": table.plan.seed, **value, **vars(provenance)})
    return lines


def illustrate(folder: Path, runner: ProtocolRunner, table: Table) -> list[Path]:
    """Draw the plot of the kinds that have one, and the sample sheet; returns the files."""
    from where2edit.evaluation import plots

    kind, stem = table.protocol.kind, table.protocol.name
    paths = []
    if table.protocol.matched is not None:
        paths.append(plots.matched_curves(table, folder / f"{stem}.png"))
    elif kind == "strength" and table.plan.crossed and "kid_vs_natural" in runner.metrics(table.protocol):
        curves = plots.prompt_curves(table.figures, folder / f"{stem}.png")
        paths += [curves] if curves else []
    elif kind == "strength":
        paths.append(plots.strength_curves(table.figures, folder / f"{stem}.png"))
    if kind == "masks" and "mask_iou" in runner.metrics(table.protocol):
        paths.append(plots.region_bars(runner, table, folder / f"{stem}.png"))
    draw = rows_sheet if table.protocol.sheet == "rows" else sample_sheet
    sheet = draw(folder / f"{stem}-sheet.png", runner, table)
    return paths + ([sheet] if sheet else [])
