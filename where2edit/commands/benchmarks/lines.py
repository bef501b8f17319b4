"""What a benchmark has measured, as JSON lines: each is on disk as soon as it is measured."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from where2edit.files.atomic import storage, write_text


class MeasuredLines:
    """The lines of one section in a file of several: `add` appends one, `close` drops those of its earlier runs.

    A run that is broken off leaves its lines beside those of the last whole one; `run` says when each began.
    """

    def __init__(self, path: Path, section: str):
        self.path, self.section = path, section
        self.run = datetime.now(timezone.utc).isoformat(timespec="microseconds")
        self._own: list[str] = []

    def add(self, **facts: Any) -> None:
        """Append one line. Raises OSError for a place that cannot be written."""
        line = json.dumps({"section": self.section, "run": self.run, **facts})
        with storage(str(self.path), "free some space, or choose another --out"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                if file.tell() and not self._ended():
                    file.write(b"\n")
                file.write(f"{line}\n".encode())
        self._own.append(line)

    def close(self) -> None:
        """Write the file anew: the lines of other sections, then those of this run."""
        text = self.path.read_text(encoding="utf-8") if self.path.is_file() else ""
        begin = json.dumps({"section": self.section}).removesuffix("}") + ", "
        # Half a line is what a killed run leaves.
        others = [line for line in text.splitlines() if not (line.startswith(begin) or begin.startswith(line))]
        write_text(self.path, "".join(f"{line}\n" for line in [*others, *self._own]))

    def _ended(self) -> bool:
        """Whether the file's last line is whole."""
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"
