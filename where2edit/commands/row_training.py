"""The trainings that a table asks for before it can be measured: every model that is not there yet.

They are shared between as many processes as the evaluation has; a training that was stopped goes on.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from where2edit.commands.train import train
from where2edit.core import distributed
from where2edit.core.sentences import print_line
from where2edit.editor.build import learns_one_prompt
from where2edit.editor.profile import Profile
from where2edit.editor.prompt_weights import read_index
from where2edit.editor.weights import RESULT
from where2edit.evaluation import workers
from where2edit.evaluation.costs import timed
from where2edit.evaluation.protocols import Protocol, Row, asked_of
from where2edit.evaluation.row_profiles import SHARED, models_folder, row_profile
from where2edit.methods.prompt_models import plain

TOGETHER = 4  # prompts whose models are trained side by side: they share the sources, which are half of the work


@dataclass(frozen=True)
class Training:
    """What one training makes: the models of some prompts, or one for all."""

    label: str  # of its row
    profile: Profile
    models: Path  # the folder that it goes into
    prompts: tuple[str, ...] = ()  # none: one model for all prompts

    def run(self, device: str) -> None:
        """Train, or go on."""
        with timed(self.models, self.prompts):
            train(self.profile, self.models, device, prompts=self.prompts)


def trainings(profile: Profile, protocols: Sequence[Protocol], folder: Path) -> list[Training]:
    """The trainings that rows of these protocols need and `folder`, that of the report, does not have the models of.

    A row on another generator or encoder than the profile's is left out of its table, and not trained.
    """
    rows: dict[str, tuple[Row, dict[str, None]]] = {}
    for protocol in protocols:
        for row in protocol.rows:
            if row.trained:
                prompts = dict.fromkeys(prompt.text for prompt in asked_of(protocol, row))
                rows.setdefault(row.label, (row, {}))[1].update(prompts)
    return [each for row, prompts in rows.values() for each in _missing(profile, row, list(prompts), folder)]


def _missing(profile: Profile, row: Row, prompts: list[str], folder: Path) -> list[Training]:
    own = row_profile(profile, row)
    if any(getattr(own, name) != getattr(profile, name) for name in SHARED):
        return []
    models = models_folder(folder, row, own)
    one = Training(row.label, own, models)
    if not learns_one_prompt(own):
        return [] if (models / RESULT).is_file() else [one]
    known = read_index(models)
    ready = {p for p in prompts if plain(p) in known and known[plain(p)].steps >= own.training.steps}
    # Groups do not depend on what is ready: a training that was stopped is found again.
    groups = [tuple(prompts[first : first + TOGETHER]) for first in range(0, len(prompts), TOGETHER)]
    return [replace(one, prompts=group) for group in groups if not ready.issuperset(group)]


def train_missing(
    profile: Profile, protocols: Sequence[Protocol], folder: Path, device: str, processes: int | None
) -> None:
    """Train every model that the protocols need and that is not there, shared between processes.

    Raises ValueError where torchrun started several and a model is missing.
    """
    missing = trainings(profile, protocols, folder)
    if not missing:
        return
    device = distributed.start_processes(device)
    if distributed.world() > 1:
        raise ValueError(
            f"{len(missing)} trainings come before these tables, in one process; start the same command by python, "
            "without torchrun, or measure other rows (--row)"
        )
    count = min(workers.process_count(processes, device), len(missing))
    taken = multiprocessing.Value("i", 0)

    def work(number: int, count: int) -> None:
        if device == "cpu":
            torch.set_num_threads(1)
        while True:
            with taken.get_lock():
                place, taken.value = taken.value, taken.value + 1
            if place >= len(missing):
                return
            each = missing[place]
            name = ", ".join(each.prompts) or "all prompts"
            print_line(f"training {place + 1} of {len(missing)}: {each.label}, {name}, into {each.models}")
            each.run(device)

    threads = torch.get_num_threads()
    workers.share(work, count)
    torch.set_num_threads(threads)
