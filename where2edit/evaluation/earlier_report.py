"""Whether a folder holds the report of something else, which a new report would replace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
            reasons = [f"another {key}" for key in SAME if line.get(key) != getattr(provenance, key)]
            reasons += ["another seed"] if line.get("seed") != seed else []
            if (row := (line.get("protocol"), line.get("row"))) not in known:
                reasons.append(f"table {row[0]}, row {row[1]}")
            if reasons:
                raise ValueError(
                    f"{folder / name} has figures that the new report would not have ({reasons[0]}); choose another "
                    "folder with --out, or --overwrite to replace the report"
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
