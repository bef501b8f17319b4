"""What a method needs before it can edit: how many models, and how long their training took.

Whoever trains a model adds the seconds to a file beside it, every few seconds, since a training may be killed.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from where2edit.core.sentences import figure
from where2edit.evaluation.table import Table
from where2edit.files.atomic import write_text
from where2edit.files.fingerprints import digest
from where2edit.files.json_files import read_json

SECONDS = "seconds-*.json"  # one file for each training, in the folder of the models
WHAT = "file of seconds"
EVERY = 10.0  # seconds after which those of a training that goes on are written again


@contextmanager
def timed(models: Path, prompts: Sequence[str]) -> Iterator[None]:
    """Add the seconds of the block to those that the models of these prompts have taken before; none: one for all."""
    path, began = models / SECONDS.replace("*", digest(list(prompts))), time.monotonic()
    models.mkdir(parents=True, exist_ok=True)
    (_, before), done = cost_in(path), threading.Event()

    def keep() -> None:
        cost = {"models": max(1, len(prompts)), "seconds": before + time.monotonic() - began}
        write_text(path, json.dumps(cost) + "\n")

    def keep_on() -> None:
        while not done.wait(EVERY):
            keep()

    keeper = threading.Thread(target=keep_on, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
        keep()


def cost_in(path: Path) -> tuple[int, float]:
    """The models and the seconds in a file; 0 and 0 where there is none, or it holds no such numbers."""
    try:
        cost = read_json(path, WHAT) if path.is_file() else {}
        return int(cost["models"]), float(cost["seconds"])
    except (ValueError, TypeError, KeyError):
        return 0, 0.0


def costs_table(table: Table) -> list[str]:
    """Rows by models needed and minutes of training; nothing for a table in which no row is trained."""
    folders = {row.label: row.models for row in table.rows}
    if not any(folders.values()):
        return []
    lines = ["| row | models trained here | minutes for each, one process | minutes in all |", "|---|---|---|---|"]
    for label, models in folders.items():
        costs = [cost_in(path) for path in models.glob(SECONDS)] if models else []
        count, minutes = sum(n for n, _ in costs), sum(seconds for _, seconds in costs) / 60
        each, whole = (figure(minutes / count, ".1f"), figure(minutes, ".1f")) if count else ("–", "–")
        lines.append(f"| {label} | {count} | {each} | {whole} |")
    return [*lines, ""]
