"""The evaluation of a profile from Python: build what is needed, measure the tables, write the report."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist

from where2edit.core import distributed
from where2edit.editor.build import build_conditions, build_encoder, build_frozen
from where2edit.editor.profile import Profile
from where2edit.editor.weights import editor_sha256
from where2edit.evaluation import report, workers
from where2edit.evaluation.figures import finished_table
from where2edit.evaluation.networks import MetricNetworks, build_networks
from where2edit.evaluation.options import EvaluationOptions
from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.rows import RowBuilder
from where2edit.evaluation.runner import ProtocolRunner
from where2edit.evaluation.samples import SamplingPlan
from where2edit.evaluation.table import PlannedTable
from where2edit.files.fingerprints import commit, config_digest
from where2edit.text_image.base import TextImage


def evaluate_profile(
    profile: Profile,
    protocols: list[Protocol],
    folder: Path,
    device: str = "auto",
    options: EvaluationOptions | None = None,
) -> list[Path]:
    """Run the protocols on a profile and write the report into `folder`; returns its pages.

    Where torchrun started several processes they share the work, and all but the first return no page.
    """
    options = options or EvaluationOptions()
    device = distributed.start_processes(device)
    if device == "cpu":
        torch.set_num_threads(1)  # also for what is built before the work is shared
    encoder = build_encoder(profile, device)
    networks = build_networks(profile, encoder, device, options, folder)
    pages = evaluate(profile, protocols, folder, encoder, networks, options)
    distributed.leave()
    return pages


def evaluate(
    profile: Profile,
    protocols: list[Protocol],
    folder: Path,
    encoder: TextImage,
    networks: MetricNetworks,
    options: EvaluationOptions,
) -> list[Path]:
    """Measure what is missing, then, in the first process, write the report; returns its pages."""
    conditions = build_conditions(profile, encoder)
    runner = ProtocolRunner(folder / "samples", conditions, networks, profile.generator.truncation)
    frozen = build_frozen(profile, encoder, networks.device)
    builder = RowBuilder(profile, frozen, networks, options)
    tables = [builder.plan(protocol, SamplingPlan.of(protocol, options)) for protocol in protocols]
    measure(runner, tables, workers.process_count(options.processes, str(networks.device)))
    if distributed.rank():
        return []
    finished = [finished_table(runner, table) for table in tables]
    return report.write(folder, runner, finished, provenance_of(profile, options.heldout))


def measure(runner: ProtocolRunner, tables: list[PlannedTable], processes: int) -> None:
    """Measure the tables, shared between processes; those of kind "time" come last, in one process of one thread."""
    timed = [table for table in tables if table.protocol.kind == "time"]
    shared = [table for table in tables if table.protocol.kind != "time"]
    torch.set_num_threads(1)
    runner.prepare(tables)
    if distributed.active():
        runner.run(shared, distributed.rank(), distributed.world())
        dist.barrier()
    else:
        workers.share(partial(runner.run, shared), processes)
    if not distributed.rank():
        runner.run(timed)


def provenance_of(profile: Profile, heldout: str | None) -> report.Provenance:
    """The labels of every figure of a run."""
    return report.Provenance(
        profile=profile.name,
        generator=profile.generator.name,
        encoder=profile.text_image.name,
        heldout=heldout or "",
        config=config_digest(profile),
        weights=editor_sha256(profile, None),
        commit=commit(),
    )
