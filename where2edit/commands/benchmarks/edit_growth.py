"""How edits and their evaluation grow: with the edited area, with the batch, with the number of samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from where2edit.commands.benchmarks.edits import AREAS, GRID, TAIL, box_mask
from where2edit.commands.benchmarks.growth import Growth
from where2edit.commands.benchmarks.run import BenchmarkRun
from where2edit.commands.benchmarks.subjects import EditSubject
from where2edit.editor.build import build_conditions, build_encoder, build_frozen
from where2edit.editor.profile import Profile
from where2edit.evaluation import protocols
from where2edit.evaluation.networks import build_networks
from where2edit.evaluation.options import EvaluationOptions
from where2edit.evaluation.rows import RowBuilder
from where2edit.evaluation.runner import ProtocolRunner
from where2edit.evaluation.samples import SamplingPlan
from where2edit.evaluation.table import PlannedTable

PERCENT = (5, 10, 20, 40, 60, 80, 100)  # of the picture
BATCHES = (1, 2, 4, 8, 16, 32)
SAMPLES = (2, 4, 8, 16, 32)
TABLE, ROW = "locality", "ours"
METRICS = ("changed_outside_mask", "leak_outside_mask")  # which read no network
ONE, EDIT, EDITS = "one edit", "edit", "edits"
TWO, ALL = "two samples", "samples"


def area_growth(run: BenchmarkRun, subject: EditSubject) -> Growth:
    """Whole edits under a square in the middle of the picture, beside the whole tail."""
    tail = torch.no_grad()(subject.tail())

    def calls(percent: float) -> dict:
        mask = square(percent / 100, subject.cells)
        return {TAIL: tail, EDIT: lambda: subject.edit(mask)}

    return run.grown(Growth(f"Edits by area, {subject.name}", "edited, % of the picture", TAIL), PERCENT, calls)


def batch_growth(run: BenchmarkRun, subject: EditSubject) -> Growth:
    """Edits of one face at once under the mask of hair, without certificates; ratios are of the time of each edit."""
    mask = box_mask(AREAS["edit, hair"], subject.cells)

    def calls(size: float) -> dict:
        return {ONE: subject.batch(1, mask), EDITS: subject.batch(int(size), mask)}

    return run.grown(Growth(f"Edits by batch, {subject.name}", "edits at once", ONE, float), BATCHES, calls)


def evaluation_growth(run: BenchmarkRun, profile: Profile) -> Growth:
    """The loop of one table over its samples: sources, edits, metrics without networks, and what is kept of them.

    The ratio is of the time of two samples to that of two others.
    """
    growth = Growth(f"Evaluation by n, profile {profile.name}", "samples", TWO, lambda size: size / SAMPLES[0])
    with TemporaryDirectory() as folder:
        measure = measured_table(profile, run.device, Path(folder))
        calls = lambda n: {TWO: lambda: measure(SAMPLES[0]), ALL: lambda: measure(int(n))}  # noqa: E731
        return run.grown(growth, SAMPLES, calls)


def measured_table(profile: Profile, device: torch.device, folder: Path) -> Callable[[int], None]:
    """What measures n samples of the table TABLE, row ROW, anew each time."""
    options, encoder = EvaluationOptions(natural_faces=0), build_encoder(profile, device)
    networks = build_networks(profile, encoder, str(device), options, folder)
    builder = RowBuilder(profile, build_frozen(profile, encoder, device), networks, options)
    (protocol,) = protocols.only_rows([protocols.load(TABLE)], [ROW])
    protocol = replace(protocol, metrics=METRICS, tests=())
    planned = builder.plan(protocol, SamplingPlan.of(protocol, options))
    conditions, numbers = build_conditions(profile, encoder), count()

    def measure(n: int) -> None:
        where = folder / str(next(numbers))  # a folder with the numbers of another run would be read instead
        runner = ProtocolRunner(where, conditions, networks, profile.generator.truncation, lambda line: None)
        runner.run([PlannedTable(protocol, replace(planned.plan, n=n), planned.rows, {})])

    return measure


def square(area: float, cells: int) -> Tensor:
    """A square that is so large a share of the picture, up to whole cells of the grid, as a mask [1,1,R,R]."""
    side = round(GRID * area**0.5)
    start = (GRID - side) // 2
    return box_mask((start, start + side, start, start + side), cells)
