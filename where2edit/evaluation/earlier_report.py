"""Whether a folder holds the report of something else, which a new report would replace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from where2edit.evaluation.photo_report import FIGURES as PHOTO_FIGURES
from where2edit.evaluation.photo_runner import SEED
from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.report import FIGURES, TIMES, Provenance

SAME = ("profile", "generator", "encoder", "heldout", "config", "weights")  # of a provenance; the commit may differ


def check_earlier_report(folder: Path, protocols: list[Protocol], provenance: Provenance, seed: int) -> None:
    """Raise ValueError where the folder has figures that the new report will not have again.

    More samples, further tables and another commit make a report grow; they do not make it another one.
    """
    for name, timed in ((FIGURES, False), (TIMES, True)):
        mine = [protocol for protocol in protocols if (protocol.kind == "time") == timed]
        known = {(protocol.name, row.label) for protocol in mine for row in protocol.rows}
        for line in _lines(folder / name) if mine else ():
            _refuse(folder / name, _reasons(line, provenance, seed, known))


def check_earlier_photos(folder: Path, protocols: list[Protocol], provenance: Provenance, photos: list[str]) -> None:
    """The same for tables of photos, whose sha256 are given: further photos make their page grow."""
    path = folder / PHOTO_FIGURES
    known = {(protocol.name, row.label) for protocol in protocols for row in protocol.rows}
    qualities = [[protocol.name, protocol.quality] for protocol in protocols]
    for line in _lines(path) if protocols else ():
        reasons, earlier = _reasons(line, provenance, SEED, known), line.get("photos")
        if [line.get("protocol"), line.get("quality")] not in qualities:
            reasons.append("another quality")
        if not isinstance(earlier, list) or any(photo not in photos for photo in earlier):
            reasons.append("other photos")
        _refuse(path, reasons)


def _reasons(line: dict[str, Any], provenance: Provenance, seed: int, known: set[tuple[str, str]]) -> list[str]:
    """What tells an earlier figure from those of the new report."""
    reasons = [f"another {key}" for key in SAME if line.get(key) != getattr(provenance, key)]
    reasons += ["another seed"] if line.get("seed") != seed else []
    row = (line.get("protocol"), line.get("row"))
    return reasons if row in known else [*reasons, f"table {row[0]}, row {row[1]}"]


def _refuse(path: Path, reasons: list[str]) -> None:
    """Raise ValueError where there is a reason not to replace the figures of a file."""
    if reasons:
        raise ValueError(
            f"{path} has figures that the new report would not have ({reasons[0]}); choose another folder with --out, "
            "or --overwrite to replace the report"
        )


def _lines(path: Path) -> list[dict[str, Any]]:
    """The figures in a file, none where there is no file; what is no figure of ours is an empty one."""
    if not path.is_file():
        return []
    found = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        found.append(line if isinstance(line, dict) else {})
    return found
