"""The evaluation of a profile from Python: build what is needed, measure the tables, write the report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist

from where2edit.core import distributed
from where2edit.editor.build import build_conditions, build_encoder, build_frozen, needs_weights
from where2edit.editor.profile import Profile
from where2edit.editor.weights import editor_sha256
from where2edit.evaluation import report, workers
from where2edit.evaluation.earlier_report import check_earlier_photos, check_earlier_report
from where2edit.evaluation.figures import finished_table
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.natural_faces import NaturalFaceStore, check_seeds
from where2edit.evaluation.networks import MetricNetworks, build_networks
from where2edit.evaluation.options import EvaluationOptions
from where2edit.evaluation.photo_samples import photo_samples
from where2edit.evaluation.photo_tables import evaluate_photos, split
from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.rows import RowBuilder
from where2edit.evaluation.runner import ProtocolRunner
from where2edit.evaluation.samples import SamplingPlan
from where2edit.evaluation.table import PlannedTable
from where2edit.files.assets import cache_folder
from where2edit.files.atomic import sweep
from where2edit.files.fingerprints import commit, config_digest
from where2edit.files.locks import locked
from where2edit.text_image.base import TextImage


def evaluate_profile(
    profile: Profile,
    protocols: list[Protocol],
    folder: Path,
    device: str = "auto",
    options: EvaluationOptions | None = None,
) -> list[Path]:
    """Run the protocols on a profile and write the report into `folder`; returns its pages.

    Where torchrun started several processes they share the work, and all but the first return no page. Raises
    ValueError for a folder with the report of another evaluation, unless it is to be overwritten, and for one in which
    another evaluation is at work.
    """
    options = options or EvaluationOptions()
    device, threads = distributed.start_processes(device), torch.get_num_threads()
    of_photos, others = split(protocols, options.quality)
    photos = photo_samples(options.photos, options.n) if of_photos else []
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder) if distributed.rank() == 0 else nullcontext():
        provenance = provenance_of(profile, options.heldout)
        if not options.overwrite:
            check_earlier_report(folder, others, provenance, options.seed)
            check_earlier_photos(folder, of_photos, provenance, [photo.sha256 for photo in photos])
        sweep(folder / "samples", below=True)
        if device == "cpu":
            torch.set_num_threads(1)  # also for what is built before the work is shared
        encoder = build_encoder(profile, device)
        networks = build_networks(profile, encoder, device, options, folder)
        pages = evaluate(profile, others, folder, encoder, networks, options) if others else []
        if of_photos and not distributed.rank():
            torch.set_num_threads(threads)  # photos come one at a time, and their seconds are those of this machine
            pages.append(evaluate_photos(profile, of_photos, photos, folder, encoder, networks, options, provenance))
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
    builder = RowBuilder(profile, frozen, networks, options, folder)
    tables = [builder.plan(protocol, SamplingPlan.of(protocol, options)) for protocol in protocols]
    processes = workers.process_count(options.processes, str(networks.device))
    torch.set_num_threads(1)
    if options.natural_faces and networks.has("judge") and needed("natural_faces", protocols):
        check_seeds([table.plan for table in tables], options.natural_faces)
        # In the cache, since every evaluation of this generator can read them.
        folder_of_all, truncation = cache_folder() / "natural-faces", profile.generator.truncation
        store = NaturalFaceStore(folder_of_all, frozen.generator, networks, options.natural_faces, truncation)
        give_natural_faces(networks, store, processes)
    measure(runner, tables, processes)
    if distributed.rank():
        return []
    finished = [finished_table(runner, table) for table in tables]
    return report.write(folder, runner, finished, provenance_of(profile, options.heldout))


def needed(network: str, protocols: list[Protocol]) -> bool:
    """Whether a metric of the protocols reads the network of that name."""
    return any(network in METRICS.get(name).needs for protocol in protocols for name in protocol.metrics)


def give_natural_faces(networks: MetricNetworks, store: NaturalFaceStore, processes: int) -> None:
    """Make the natural faces that are missing, shared between processes, and give them to the metrics."""
    in_shares(store.make, processes)
    networks.give("natural_faces", store.read())


def measure(runner: ProtocolRunner, tables: list[PlannedTable], processes: int) -> None:
    """Measure the tables, shared between processes; those of kind "time" come last, in one process of one thread."""
    timed = [table for table in tables if table.protocol.kind == "time"]
    shared = [table for table in tables if table.protocol.kind != "time"]
    runner.prepare(tables)
    in_shares(partial(runner.run, shared), processes)
    if not distributed.rank():
        runner.run(timed)


def in_shares(work: Callable[[int, int], None], processes: int) -> None:
    """Run work(number, count) in each of the processes that torchrun started, or else that are forked here."""
    if distributed.active():
        work(distributed.rank(), distributed.world())
        dist.barrier()
    else:
        workers.share(work, processes)


def provenance_of(profile: Profile, heldout: str | None) -> report.Provenance:
    """The labels of every figure of a run."""
    return report.Provenance(
        profile=profile.name,
        generator=profile.generator.name,
        encoder=profile.text_image.name,
        heldout=heldout or "",
        config=config_digest(profile),
        weights=editor_sha256(profile, None) if needs_weights(profile) else "not needed",
        commit=commit(),
    )
