"""The loop around the steps of a training: folder, resuming, snapshots, log, progress bar and progress sheets.

It knows nothing of what is trained: the trainer of editors (training/trainer.py) and that of facetext and the judge
(facetext/trainer.py) fill in the step. Everything random in a step is drawn from (seed, step), so that a resumed
run equals an uninterrupted one bit for bit on a CPU.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from where2edit.core import distributed
from where2edit.core.sentences import figure
from where2edit.training.interrupts import held_back
from where2edit.training.run_folder import check_length
from where2edit.training.run_log import RunLog
from where2edit.training.state import STATE, load_state, save_state


@dataclass(frozen=True)
class Pace:
    """How long a run is, and how often it writes."""

    steps: int
    snapshot_every: int
    sheet_every: int = 0  # 0: no sheets
    tensorboard: bool = False  # also log for TensorBoard, where it is installed


class TrainingLoop(ABC):
    """Runs `train_step` to the end; the same call on the same folder goes on where the last one stopped.

    module: what is trained; optimizer: Adam or AdamW; folder: where state.safetensors, train.jsonl and sheets are
    written, by the first process only; fingerprint: names the config, and the snapshot of another config is refused;
    sheet(path): draws a progress sheet.
    """

    title = "train"  # of the progress bar
    shown: tuple[str, ...] = ()  # figures that the progress bar shows

    def __init__(
        self,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        folder: Path,
        pace: Pace,
        fingerprint: str,
        sheet: Callable[[Path], None] | None = None,
    ):
        self.module, self.optimizer, self.folder = module, optimizer, folder
        self.pace, self.fingerprint, self.sheet = pace, fingerprint, sheet
        self.step = 0  # how many steps have been made
        self.first_step = 0  # where a run without a snapshot begins

    @abstractmethod
    def train_step(self) -> dict[str, float]:
        """Make step `self.step`; returns its figures by name."""

    def line(self, values: dict[str, float]) -> dict[str, float]:
        """The figures that the log gets of the step that was just made; by default those of `train_step`."""
        return values

    def warnings(self, values: dict[str, float]) -> list[str]:
        """Plain sentences on a run that is going wrong."""
        return []

    def extra_state(self) -> dict[str, Tensor]:
        """What a snapshot must hold besides module and optimizer, by name."""
        return {}

    def restore(self, extra: Mapping[str, Tensor]) -> None:
        """Restore what `extra_state` gave; a trainer overrides both or neither."""
        assert not extra, f"nobody takes back {sorted(extra)}"

    @property
    def state_path(self) -> Path:
        return self.folder / STATE

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return distributed.rank() == 0

    def resume(self) -> None:
        """Go back to the snapshot in the folder, where there is one. Raises ValueError as `run` does."""
        step, extra = load_state(self.state_path, self.module, self.optimizer, self.fingerprint)
        check_length(self.folder, step, self.pace.steps)
        if step:
            self.restore(extra)
        self.step = max(step, self.first_step)

    def save(self) -> None:
        """Write the snapshot that a later run goes on from."""
        if self.first:
            save_state(self.state_path, self.module, self.optimizer, self.step, self.fingerprint, self.extra_state())

    def run(self, until: int | None = None) -> None:
        """Train to the end, or to step `until`; writes train.jsonl, snapshots and sheets into the run's folder.

        A run that has ended goes on where more steps are asked for: rates and ramps follow the new length from there.
        Ctrl-C ends the step and saves it. Raises ValueError for the run of another config and for a longer one.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.resume()
        last = min(until or self.pace.steps, self.pace.steps)
        log = RunLog(self.folder, self.step, self.pace.tensorboard) if self.first else None
        steps, total = range(self.step, last), self.pace.steps
        progress = tqdm(steps, initial=self.step, total=total, desc=self.title, disable=not self.first)
        # Of many processes none may stop alone: there Ctrl-C ends the step at once, and the last snapshot counts.
        with held_back(distributed.world() == 1) as pressed:
            for _ in progress:
                values = self.train_step()
                self.step += 1
                if log:
                    self._write(log, values)
                progress.set_postfix({name: figure(values[name], ".3f") for name in self.shown if name in values})
                self._keep(self.step == last)
                if pressed():
                    self.save()
                    raise KeyboardInterrupt
        if log:
            log.close()

    def _keep(self, ended: bool) -> None:
        """Draw the sheet and write the snapshot where they are due.

        The sheet comes first: a run that is killed between the two makes the step again, and its sheet.
        """
        if self.sheet and self.first and (self.step % self.pace.sheet_every == 0 or ended):
            self.module.eval()
            self.sheet(self.folder / f"sheet-{self.step:06d}.png")
        if self.step % self.pace.snapshot_every == 0 or ended:
            self.save()

    def _write(self, log: RunLog, values: dict[str, float]) -> None:
        """Log the step that was just made, and print the warnings."""
        log.write(self.step, self.line(values))
        for warning in self.warnings(values):
            tqdm.write(f"warning: step {self.step}: {warning}")
