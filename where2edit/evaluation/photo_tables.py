"""The tables of photos from Python: read the photos, invert and edit what is missing, write the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from where2edit.editor.build import build_conditions, build_frozen
from where2edit.editor.profile import Profile
from where2edit.evaluation import photo_report
from where2edit.evaluation.networks import MetricNetworks
from where2edit.evaluation.options import EvaluationOptions
from where2edit.evaluation.photo_runner import PhotoRunner, halves, plan_of
from where2edit.evaluation.photo_samples import PhotoSample
from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.report import Provenance
from where2edit.evaluation.rows import RowBuilder
from where2edit.inversion.inverter import Quality
from where2edit.text_image.base import TextImage

KIND = "photos"  # of protocols


def split(protocols: list[Protocol], quality: Quality | None) -> tuple[list[Protocol], list[Protocol]]:
    """The protocols of photos, at this quality (None: at their own), and the others."""
    of_photos = [replace(each, quality=quality or each.quality) for each in protocols if each.kind == KIND]
    return of_photos, [each for each in protocols if each.kind != KIND]


def evaluate_photos(
    profile: Profile,
    protocols: list[Protocol],
    photos: list[PhotoSample],
    folder: Path,
    encoder: TextImage,
    networks: MetricNetworks,
    options: EvaluationOptions,
    provenance: Provenance,
) -> Path:
    """Measure what is missing of tables of photos, in one process, and write their page; returns it.

    Raises ValueError where an inversion encoder of a row cannot be built.
    """
    conditions = build_conditions(profile, encoder)
    builder = RowBuilder(profile, build_frozen(profile, encoder, networks.device), networks, options)
    runs = []
    for protocol in protocols:
        runner = PhotoRunner(folder / "samples", conditions, networks, photos)
        table = halves(builder.plan(protocol, plan_of(len(photos))))
        runner.run_photos(table)
        runs.append((runner, table))
    return photo_report.write(folder, runs, provenance)
