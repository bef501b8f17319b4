"""The folder of a training run: one process at a time, one config, and no result of anything else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from where2edit.core import distributed
from where2edit.files.locks import locked
from where2edit.training.state import STATE, stored_step


@contextmanager
def run_folder(folder: Path, fingerprint: str, steps: int, result: str) -> Iterator[bool]:
    """Hold the folder of a run for the length of the block; yields whether the run has begun.

    fingerprint: names the config; steps: how many are asked for, which may be more than when the run began; result: the
    file that the run ends with. Of several processes the first one holds the folder. Raises ValueError while another
    run is at work there, and for a folder with the run of another config, a longer run, or a result without its run.
    """
    with locked(folder) if distributed.rank() == 0 else nullcontext():
        step = stored_step(folder / STATE, fingerprint)
        check_length(folder, step, steps)
        if not (folder / STATE).is_file() and (folder / result).is_file():
            raise ValueError(f"{folder / result} is there, and no run that made it; choose another folder with --out")
        yield step > 0


def check_length(folder: Path, step: int, steps: int) -> None:
    """Raise ValueError where a run has made more steps than are asked for."""
    if step > steps:
        raise ValueError(f"the run in {folder} has made {step} steps, and {steps} are asked for; give at least {step}")
