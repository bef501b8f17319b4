"""The sheet of a table: what the last row makes of the first samples: edit, mask, difference, or edits by strength."""

from __future__ import annotations

from pathlib import Path

from where2edit.evaluation.runner import SHEET_CELL, ProtocolRunner
from where2edit.evaluation.samples import prompt_of
from where2edit.evaluation.store import edit_at
from where2edit.evaluation.table import PlannedTable
from where2edit.files import pictures
from where2edit.files.folders import readable_images

MOST_LARGE_ROWS = 12  # a sheet of more rows shows its pictures at half the size


def sample_sheet(path: Path, runner: ProtocolRunner, table: PlannedTable) -> Path | None:
    """Write the sheet from the pictures that the runner kept; None where it kept none.

    A sample with a picture that cannot be read is left out, and a warning names it.
    """
    protocol = table.protocol
    store, columns = runner.store(protocol, table.rows[-1]), kinds(table)
    rows, labels = [], []
    for index in range(table.plan.sheet):
        files = [store.picture(index, kind) for kind in columns.values()]
        if all(file.is_file() for file in files) and len(images := [*readable_images(files)]) == len(files):
            rows.append([image[0] for image in images])
            labels.append(prompt_of(protocol, index).text)
    if protocol.kind == "sequential":
        labels = [", then ".join(prompt.text for prompt in protocol.prompts)] * len(rows)
    cell = SHEET_CELL if len(rows) <= MOST_LARGE_ROWS else SHEET_CELL // 2
    return pictures.save_png(pictures.sheet(rows, labels, list(columns), cell), path) if rows else None


def kinds(table: PlannedTable) -> dict[str, str]:
    """The columns of the sheet: what stands above each -> the kind of picture that the runner kept."""
    if table.protocol.kind == "strength":
        return {"source": "source"} | {f"strength {s:g}": edit_at(s) for s in table.strengths(table.rows[-1])}
    kept = ("source", "mask") if table.protocol.kind == "masks" else ("source", "edit", "mask", "difference")
    return dict(zip(kept, kept, strict=True))
