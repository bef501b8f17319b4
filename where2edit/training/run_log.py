"""The log of a training run: one JSON line per step, and the same figures for TensorBoard where it is installed."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from itertools import takewhile
from pathlib import Path

from where2edit.core.sentences import print_line
from where2edit.files.atomic import atomic_write, storage


class RunLog:
    """The log of a run that goes on after `step`: train.jsonl in `folder`, and TensorBoard events where asked for.

    Lines of later steps are removed: a run that was killed has logged steps after its last snapshot, which are made
    again and must not be logged twice. So is all that follows a line that is none, as a kill or a power cut leaves it.
    """

    def __init__(self, folder: Path, step: int, tensorboard: bool):
        self.path = folder / "train.jsonl"
        self._cut(step)
        with self._storage():
            self.board = board(folder, step) if tensorboard else None

    def write(self, step: int, values: dict[str, float]) -> None:
        """Append the figures of one step; a dot in a name separates the sections of the config that it belongs to."""
        with self._storage():
            with self.path.open("ab") as file:
                file.write(json.dumps({"step": step, **values}).encode() + b"\n")
            for name, value in values.items() if self.board else ():
                self.board.add_scalar(name.replace(".", "/"), value, step)

    def close(self) -> None:
        """Write out what TensorBoard still holds back."""
        if self.board:
            with self._storage():
                self.board.close()

    def _storage(self) -> AbstractContextManager[None]:
        """What goes wrong while writing becomes one sentence (StorageError)."""
        return storage(str(self.path), "free some space, and the same command goes on")

    def _cut(self, step: int) -> None:
        """Keep the whole lines up to `step`, and say where some are missing."""
        if not self.path.is_file():
            return
        lines = self.path.read_bytes().splitlines(keepends=True)
        whole = list(takewhile(lambda line: logged_step(line) is not None, lines))
        kept = [line for line in whole if logged_step(line) <= step]
        with atomic_write(self.path) as file:
            file.write_bytes(b"".join(kept))
        if lines and (last := logged_step(kept[-1]) if kept else 0) < step:
            lost = f"the lines of steps {last + 1} to {step} are lost"
            print_line(f"warning: {self.path} was damaged; {lost}", sys.stderr)


def logged_step(line: bytes) -> int | None:
    """The step of a line of the log; None for what is no whole line."""
    try:
        return int(json.loads(line)["step"]) if line.endswith(b"\n") else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def board(folder: Path, step: int):
    """A TensorBoard writer that hides what it logged after `step`; None where tensorboard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
