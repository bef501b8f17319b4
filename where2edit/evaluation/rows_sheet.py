"""The sheet of a table that compares methods: the edits of every row, rows by prompts, for the first sources."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from where2edit.evaluation.runner import ProtocolRunner
from where2edit.evaluation.table import PlannedTable
from where2edit.files import pictures
from where2edit.files.folders import readable_images

CELL = 160  # pixels of one picture


def rows_sheet(path: Path, runner: ProtocolRunner, table: PlannedTable) -> Path | None:
    """Write a sheet of the edits of every row, rows by prompts, source by source; None where no picture was kept."""
    count, rows, labels = len(table.protocol.prompts), [], []
    heads = ["source", *(prompt.text for prompt in table.protocol.prompts)]
    for first in range(0, table.plan.sheet - count + 1, count):
        for row in table.rows:
            store = runner.store(table.protocol, row)
            numbers = range(first, first + count)
            sources, edits = ([picture_in(store.picture(i, kind)) for i in numbers] for kind in ("source", "edit"))
            source = next((each for each in sources if each is not None), None)
            if source is not None:
                rows.append([source, *edits])
                labels.append(row.label)
    return pictures.save_png(pictures.sheet(rows, labels, heads, CELL), path) if rows else None


def picture_in(path: Path) -> Tensor | None:
    """The picture in a file [3,H,W]; None where it is not there or cannot be read, of which a warning says why."""
    images = [*readable_images([path])] if path.is_file() else []
    return images[0][0] if images else None
