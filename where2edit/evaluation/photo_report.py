"""The page of the tables of photos: photos.md with photos.jsonl and contact sheets, from what was measured alone."""

from __future__ import annotations

import json
from pathlib import Path

from where2edit.evaluation.figures import finished_table
from where2edit.evaluation.goals import goal_table
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.photo_runner import PhotoRunner, PhotoTable
from where2edit.evaluation.photo_sheet import photo_sheet
from where2edit.evaluation.report import LACKING, Provenance, origin, prompts_without_figure, records, strength_words
from where2edit.evaluation.table import Table
from where2edit.evaluation.tables import main_table, printed_table, prompt_table
from where2edit.files.atomic import write_text

PAGE, FIGURES = "photos.md", "photos.jsonl"


def write(folder: Path, runs: list[tuple[PhotoRunner, PhotoTable]], provenance: Provenance) -> Path:
    """Write the page, its figures and its sheets below `folder`; returns the page."""
    parts = [f"# Photos, by `{provenance.profile}`\n\n{origin(provenance)}Brackets hold 95 % bootstrap intervals.\n"]
    lines: list[dict] = []
    for runner, table in runs:
        inversions, edits = (finished_table(runner, half) for half in (table.inversions, table.edits))
        parts.append(section(folder, runner, inversions, edits))
        own = {"quality": edits.protocol.quality, "photos": [photo.sha256 for photo in runner.photos]}
        lines += [line | own for half in (inversions, edits) for line in records(half, provenance)]
    write_text(folder / PAGE, "\n".join(parts))
    write_text(folder / FIGURES, "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))
    return folder / PAGE


def section(folder: Path, runner: PhotoRunner, inversions: Table, edits: Table) -> str:
    """One table of photos, with what others printed beside it, and its contact sheet."""
    protocol, left_out = edits.protocol, edits.left_out
    lines = [f"## {protocol.title}\n", sampling_sentence(runner, edits)]
    lines += ["### How well inversions give photos back\n", *main_table(inversions)]
    lines += goal_table(inversions) if protocol.goals else []
    lines += _protocols(runner, inversions)
    lines += ["\n### How well inversions can be edited\n", *main_table(edits), *prompt_table(edits)]
    lines += goal_table(edits) if protocol.goals else []
    lines += _protocols(runner, edits) + prompts_without_figure(edits)
    lines += [f"- Row *{label}* was left out: {reason}." for label, reason in left_out.items()]
    lines += [f"- {note}" for note in protocol.notes]
    lines += printed_table(protocol) if protocol.printed else []
    sheet = photo_sheet(folder / f"{protocol.name}-sheet.png", runner, edits)
    return "\n".join([*lines, f"\n![{sheet.stem}]({sheet.relative_to(folder)})"]) + "\n"


def sampling_sentence(runner: PhotoRunner, table: Table) -> str:
    """How many photos and edits the table has, and how they were made."""
    photos, prompts = len(runner.photos), len(table.protocol.prompts)
    names = ", ".join(photo.name for photo in runner.photos)
    edits = f"{photos * prompts} edits in each row, {prompts} of each photo{strength_words(table)}"
    drawn = f"seed {table.plan.seed} of the latents behind the principal coordinates, all that is drawn"
    return (
        f"{photos} photo{'s' * (photos > 1)} ({names}); {edits}; quality of the inversions: {table.protocol.quality}; "
        f"{drawn}; seconds on: {runner.machine}.\n"
    )


def _protocols(runner: PhotoRunner, table: Table) -> list[str]:
    """What each metric measures, and which could not be measured."""
    missing = runner.unavailable(table.protocol)
    lines = [f"- `{name}`: {METRICS.get(name).protocol}." for name in runner.metrics(table.protocol)]
    return lines + [f"- `{n}` was left out: {LACKING.get(need, f'there is no {need}')}." for n, need in missing.items()]
