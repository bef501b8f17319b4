"""The trainings that a table asks for before it can be measured: every model that is not there yet.

Models are trained one by one, in as many processes as the evaluation has; a training that was stopped goes on.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from where2edit.commands.train import train
from where2edit.core import distributed
from where2edit.editor.build import learns_one_prompt
from where2edit.editor.profile import Profile
from where2edit.editor.prompt_weights import read_index
from where2edit.editor.weights import RESULT
from where2edit.evaluation import workers
from where2edit.evaluation.costs import timed
from where2edit.evaluation.protocols import Protocol, Row, asked_of
from where2edit.evaluation.row_profiles import SHARED, config_file, models_folder, row_profile
from where2edit.methods.prompt_models import plain


@dataclass(frozen=True)
class Training:
    """One model that is to be trained."""

    label: str  # of its row
    config: Path
    overrides: tuple[str, ...]
    models: Path  # the folder that it goes into
    prompt: str | None = None  # None: one model for all prompts

    @property
    def name(self) -> str:
        """What the model is called among those of its folder."""
        return self.prompt or "all prompts"

    def run(self, device: str) -> None:
        """Train it, or go on."""
        with timed(self.models, self.name):
            train(self.config, list(self.overrides), self.models, device, prompts=[self.prompt] if self.prompt else [])


def trainings(profile: Profile, protocols: Sequence[Protocol], folder: Path) -> list[Training]:
    """The models that rows of these protocols need and `folder`, that of the report, does not have yet.

    A row on another generator or encoder than the profile's is left out of its table, and not trained.
    """
    rows: dict[str, tuple[Row, dict[str, None]]] = {}
    for protocol in protocols:
        for row in protocol.rows:
            if row.trained and row.config:
                prompts = dict.fromkeys(prompt.text for prompt in asked_of(protocol, row))
                rows.setdefault(row.label, (row, {}))[1].update(prompts)
    return [each for row, prompts in rows.values() for each in _missing(profile, row, list(prompts), folder)]


def _missing(profile: Profile, row: Row, prompts: list[str], folder: Path) -> list[Training]:
    own = row_profile(profile, row)
    if any(getattr(own, name) != getattr(profile, name) for name in SHARED):
        return []
    models = models_folder(folder, row, own)
    asked = Training(row.label, config_file(profile, row.config or ""), row.overrides, models)
    if not learns_one_prompt(own):
        return [] if (models / RESULT).is_file() else [asked]
    known = read_index(models)
    lacking = [p for p in prompts if plain(p) not in known or known[plain(p)].steps < own.training.steps]
    return [Training(asked.label, asked.config, asked.overrides, models, prompt) for prompt in lacking]


def train_missing(
    profile: Profile, protocols: Sequence[Protocol], folder: Path, device: str, processes: int | None
) -> None:
    """Train every model that the protocols need and that is not there, shared between processes."""
    missing = trainings(profile, protocols, folder)
    if not missing or distributed.rank():
        return
    device = distributed.start_processes(device)
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
            print(f"training {place + 1} of {len(missing)}: {each.label}, {each.name}", flush=True)
            each.run(device)

    threads = torch.get_num_threads()
    workers.share(work, count)
    torch.set_num_threads(threads)
