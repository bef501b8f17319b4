"""Runs the table `photos`: every row inverts each photo once, measures the inversion, and edits it with every prompt.

A row is the profile with changes of its section `inversion`. Where its inversion has a residual, so that it shows the
photo itself, edits are put back into the photo, and the judge looks at the crop of the photo before and after; else it
looks at the inversion and at the edited inversion.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from where2edit.backbones.preprocess import resize
from where2edit.core.config import as_dict
from where2edit.editing.conditions import Conditions
from where2edit.editor.weights import find_weights
from where2edit.evaluation.edit_maker import synchronise
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.edit_batch import AnalysedImages, EditBatch
from where2edit.evaluation.networks import MetricNetworks
from where2edit.evaluation.photo_batches import InvertedPhoto, edit_batch, inversion_batch
from where2edit.evaluation.photo_samples import PhotoSample
from where2edit.evaluation.photo_store import PhotoStore
from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.runner import SHEET_CELL, ProtocolRunner
from where2edit.evaluation.samples import PromptBatch, SamplingPlan, prompt_batches
from where2edit.evaluation.store import slug
from where2edit.evaluation.table import BuiltRow, PlannedTable
from where2edit.files import pictures
from where2edit.files.fingerprints import file_sha256, network_sha256
from where2edit.inversion.base import build_inversion
from where2edit.inversion.inverter import Inverter, Quality
from where2edit.photos.alignment import crop

SEED = 0  # of the only thing that is drawn: the latents behind the principal coordinates of the fit
PHOTO, INVERSION = "photo", "inversion"  # kinds of kept pictures; an edit's is its prompt


@dataclass(frozen=True)
class PhotoTable:
    """The two halves of a table of photos: one sample for each photo, and one for each edit."""

    inversions: PlannedTable
    edits: PlannedTable


def plan_of(count: int) -> SamplingPlan:
    """The plan of a table of so many photos: every prompt on each."""
    return SamplingPlan(count, crossed=True, batch=1, seed=SEED, sheet=0)


def halves(table: PlannedTable) -> PhotoTable:
    """The table by what its metrics compare: a photo with its inversion, or an edit with what was before it."""
    metrics = table.protocol.metrics
    names = [tuple(n for n in metrics if METRICS.get(n).of_inversion == whole) for whole in (True, False)]
    first, second = (replace(table, protocol=replace(table.protocol, metrics=part)) for part in names)
    return PhotoTable(replace(first, plan=replace(table.plan, crossed=False)), second)


class PhotoRunner(ProtocolRunner):
    """Measures tables of photos; what was measured of a photo in a row before is not measured again."""

    def __init__(
        self,
        folder: Path,
        conditions: Conditions,
        networks: MetricNetworks,
        photos: list[PhotoSample],
    ):
        super().__init__(folder, conditions, networks, truncation=1.0)
        self.photos = photos
        self._keys = [photo.key for photo in photos]
        self._inverted_by: dict[str, list[object]] = {}

    def store(self, protocol: Protocol, row: BuiltRow) -> PhotoStore:
        if row.label not in self._inverted_by:
            self._inverted_by[row.label] = inverted_by(row)
        depends_on = [row.depends_on, self._inverted_by[row.label], protocol.quality, self.machine]
        return PhotoStore(self.folder, protocol, row.label, depends_on, self._keys)

    @property
    def machine(self) -> str:
        """What the seconds were measured on."""
        device = torch.device(self.networks.device)
        return (
            torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
        )

    def run_photos(self, table: PhotoTable) -> None:
        """Measure what is missing, row by row and photo by photo."""
        for row in table.edits.rows:
            missing = [number for number in range(len(self.photos)) if self._missing(table, row, number)]
            if missing:
                frozen = row.method.frozen
                preview = frozen.own_preview
                inverter = Inverter(row.inversion, frozen.generator, frozen.blend_site, preview)
                inverter.load()
                for number in tqdm(missing, desc=row.label, unit="photo"):
                    self._photo(table, row, number, inverter)

    def _missing(self, table: PhotoTable, row: BuiltRow, number: int) -> bool:
        return any(
            self.store(half.protocol, row).read(asked, one(number), self.metrics(half.protocol)) is None
            for half in (table.inversions, table.edits)
            for asked in prompt_batches(half.protocol, half.plan, one(number))
        )

    def _photo(self, table: PhotoTable, row: BuiltRow, number: int, inverter: Inverter) -> None:
        """Invert one photo, and measure its inversion and all its edits."""
        inverted = self._inverted(row, self.photos[number], inverter, table.edits.protocol.quality)
        with torch.no_grad():
            for asked in prompt_batches(table.inversions.protocol, table.inversions.plan, one(number)):
                batch = inversion_batch(row, self.conditions, asked, inverted)
                kept = {PHOTO: batch.before.images, INVERSION: batch.after.images}
                self._measure(table.inversions.protocol, row, asked, batch, number, kept)
            for asked in prompt_batches(table.edits.protocol, table.edits.plan, one(number)):
                batch = edit_batch(row, self.conditions, asked, inverted)
                kept = {slug(asked.prompts[0].text): batch.after.images}
                self._measure(table.edits.protocol, row, asked, batch, number, kept)

    def _inverted(self, row: BuiltRow, sample: PhotoSample, inverter: Inverter, quality: Quality) -> InvertedPhoto:
        photo, generator = sample.read(), row.method.frozen.generator
        face = crop(photo, sample.alignment, generator.resolution).to(generator.w_mean)
        began = time.perf_counter()
        inverted = inverter.invert(face, quality, progress=False)
        synchronise(face)
        seconds = time.perf_counter() - began
        with torch.no_grad():
            source = row.method.source(inverted.w, residual=inverted.residual)
        assert source.image is not None
        seen, shown = (AnalysedImages(image, self.networks) for image in (face, source.image))
        return InvertedPhoto(photo, sample.alignment, seen, source, shown, seconds)

    def _measure(
        self,
        protocol: Protocol,
        row: BuiltRow,
        asked: PromptBatch,
        batch: EditBatch,
        number: int,
        kept: dict[str, Tensor],
    ) -> None:
        """Measure a batch of the photo `number`, and keep small pictures for the contact sheet."""
        store = self.store(protocol, row)
        measured = {name: METRICS.get(name)(self.networks).measured(batch) for name in self.metrics(protocol)}
        for kind, image in kept.items():
            pictures.save_png(resize(image, SHEET_CELL).clamp(-1, 1), store.picture(number, kind))
        store.write(asked, one(number), {name: value.float().cpu() for name, value in measured.items()})


def one(number: int) -> range:
    """The chunk of one photo."""
    return range(number, number + 1)


def inverted_by(row: BuiltRow) -> list[object]:
    """What inversions of a row depend on: the section of the config, the encoder, and the previews looked through."""
    config, frozen = row.inversion, row.method.frozen
    views = [view.weights for view in (config.w_view, config.canvas_view)]
    heads = ["" if weights is None else file_sha256(find_weights(weights)) for weights in views]
    encoder = build_inversion(config, frozen.generator)
    return [as_dict(config), network_sha256(encoder), heads, network_sha256(frozen.preview_head)]
