"""The log of a training run: one JSON line per step, and the same figures for TensorBoard where it is installed."""

from __future__ import annotations

import json
from pathlib import Path

from where2edit.files.atomic import atomic_write


class RunLog:
    """The log of a run that goes on after `step`: train.jsonl in `folder`, and TensorBoard events where asked for.

    Lines of later steps are removed.

    A run that was killed has logged steps after its last snapshot; they are made again, and must not be logged twice.
    """

    def __init__(self, folder: Path, step: int, tensorboard: bool):
        self.path = folder / "train.jsonl"
        self._cut(step)
        self.board = board(folder, step) if tensorboard else None

    def write(self, step: int, values: dict[str, float]) -> None:
        """Append the figures of one step; a dot in a name separates the sections of the config that it belongs to."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items() if self.board else ():
            self.board.add_scalar(name.replace(".", "/"), value, step)

    def close(self) -> None:
        """Write out what TensorBoard still holds back."""
        if self.board:
            self.board.close()

    def _cut(self, step: int) -> None:
        """Keep the lines up to `step`; a line that was cut short can only be the last one."""
        if not self.path.is_file():
            return
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        with atomic_write(self.path) as file:
            file.write_text("".join(kept), encoding="utf-8")


def board(folder: Path, step: int):
    """A TensorBoard writer that hides what it logged after `step`; None where tensorboard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
