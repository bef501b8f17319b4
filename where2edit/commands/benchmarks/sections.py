"""Sections and tables of docs/benchmarks.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from where2edit.core.sentences import one_sentence
from where2edit.files.atomic import write_text


def table(head: str, rows: Iterable[tuple]) -> str:
    """A Markdown table whose columns `head` names, separated by " | "."""
    columns = head.split(" | ")
    lines = [head, " | ".join("---" for _ in columns), *(" | ".join(map(str, row)) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def left_out(what: str, error: Exception) -> str:
    """A sentence on something without figures: the first clause of the error, without folders of this machine."""
    reason = re.sub(r"(?<![\w.])/(?:[^\s/]+/)+", "", str(error).split(";")[0])
    return one_sentence(f"{what}: {reason.rstrip('.')}.")


def write_section(path: Path, heading: str, text: str) -> None:
    """Put the section of that heading into a Markdown file in place of its earlier version; other sections stay.

    heading: the whole line; one that only begins so heads another section.
    """
    before = path.read_text(encoding="utf-8") if path.is_file() else "# Benchmarks\n"
    found = re.search(rf"^{re.escape(heading)}$", before, re.MULTILINE)
    start = found.start() if found else -1
    if start < 0:
        after = ""
        head = before.rstrip() + "\n\n"
    else:
        end = before.find("\n## ", start + 1)
        head, after = before[:start], before[end:] if end >= 0 else ""
    write_text(path, head + text + "\n" + after)
