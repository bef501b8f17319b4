"""The contact sheet of the table `photos`: every photo, its inversions, and the edits of the last row."""

from __future__ import annotations

from pathlib import Path

from where2edit.evaluation.photo_runner import INVERSION, PHOTO, PhotoRunner
from where2edit.evaluation.rows_sheet import picture_in
from where2edit.evaluation.runner import SHEET_CELL
from where2edit.evaluation.store import slug
from where2edit.evaluation.table import PlannedTable
from where2edit.files import pictures

SHOWN_ROWS = 2  # the last ones, of which the inversions are shown
MOST_LARGE_ROWS = 12  # a sheet of more photos shows them at half the size


def photo_sheet(path: Path, runner: PhotoRunner, table: PlannedTable) -> Path:
    """Write the sheet: photos by photo, inversions and edits; a picture that was not kept leaves its cell empty."""
    stores = {row.label: runner.store(table.protocol, row) for row in table.rows[-SHOWN_ROWS:]}
    *_, last = stores.values()
    heads, columns = ["photo"], [(last, PHOTO)]
    for label, store in stores.items():
        heads.append(f"inversion: {label}")
        columns.append((store, INVERSION))
    for prompt in table.protocol.prompts:
        heads.append(prompt.text)
        columns.append((last, slug(prompt.text)))
    numbers = range(len(runner.photos))
    rows = [[picture_in(store.picture(number, kind)) for store, kind in columns] for number in numbers]
    cell = SHEET_CELL if len(rows) <= MOST_LARGE_ROWS else SHEET_CELL // 2
    names = [photo.name for photo in runner.photos]
    return pictures.save_png(pictures.sheet(rows, names, heads, cell), path)
