"""What a method needs before it can edit: how many models, and how long their training took.

Whoever trains a model adds the seconds to a file beside it; those of a training that was killed are lost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from where2edit.core.sentences import figure
from where2edit.evaluation.store import slug
from where2edit.evaluation.table import Table
from where2edit.files.atomic import write_text
from where2edit.files.json_files import read_json

SECONDS = "seconds-*.json"  # one file for each model, in the folder of the models
WHAT = "file of seconds"


@contextmanager
def timed(models: Path, name: str) -> Iterator[None]:
    """Add the seconds of the block to those that the model `name` has taken before."""
    path, began = models / SECONDS.replace("*", slug(name)), time.monotonic()
    try:
        yield
    finally:
        models.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(seconds_in(path) + time.monotonic() - began) + "\n")


def seconds_in(path: Path) -> float:
    """The seconds in a file; 0 where there is none, or it holds no number."""
    try:
        value = read_json(path, WHAT) if path.is_file() else 0
    except ValueError:
        return 0.0
    return float(value) if isinstance(value, int | float) else 0.0


def costs_table(table: Table) -> list[str]:
    """Rows by models needed and minutes of training; nothing for a table in which no row is trained."""
    folders = {row.label: row.models for row in table.rows}
    if not any(folders.values()):
        return []
    lines = ["| row | models trained here | minutes for each, one process | minutes in all |", "|---|---|---|---|"]
    for label, models in folders.items():
        taken = [seconds_in(path) / 60 for path in sorted(models.glob(SECONDS))] if models else []
        each = figure(sum(taken) / len(taken), ".1f") if taken else "–"
        lines.append(f"| {label} | {len(taken)} | {each} | {figure(sum(taken), '.1f') if taken else '–'} |")
    return [*lines, ""]
