"""Makes the edits that a protocol asks for, batch by batch; the sources of a chunk are made once and shared."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial, reduce

import torch
from torch import Tensor

from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.certificate import halo
from where2edit.editing.conditions import Conditions
from where2edit.editing.sequences import EarlierEdit, combine_with_earlier, next_source
from where2edit.evaluation.metrics.edit_batch import AnalysedImages, EditBatch
from where2edit.evaluation.networks import MetricNetworks
from where2edit.evaluation.protocols import Prompt
from where2edit.evaluation.samples import PromptBatch
from where2edit.evaluation.table import BuiltRow, PlannedTable
from where2edit.methods.base import Method
from where2edit.methods.controls import OracleMask


class EditMaker:
    """Makes sources and edits. `whole_sources`: whether a row needs what a source wrote after the blend site."""

    def __init__(self, conditions: Conditions, networks: MetricNetworks, truncation: float):
        self.conditions, self.networks, self.truncation = conditions, networks, truncation
        self.whole_sources = False
        self._sources: tuple[tuple, Source, AnalysedImages] | None = None

    def edit_batch(self, table: PlannedTable, row: BuiltRow, asked: PromptBatch, chunk: range) -> EditBatch:
        """The edits of a chunk's sources with one prompt each, and all that metrics read of them."""
        method, kind, prompts = row.method, table.protocol.kind, table.protocol.prompts
        source, before = self.source(method, table.plan.seed, chunk)
        seconds = None
        if isinstance(method, OracleMask):
            method.regions = {prompt.text: prompt.regions for prompt in prompts}
            method.parser = self.networks["face_parsing"]
        condition = self._condition(row, asked)
        if kind == "masks":
            edit = method.propose(source, condition)
        elif kind == "sequential":
            edit = self._sequence(row, source, prompts)
        elif kind == "time":
            edit, seconds = self._timed(row, condition, table.plan.seed, chunk)
        else:
            edit, condition = edited(row, source, condition, natural=asked.strength is None)
        same = edit.image is None or torch.equal(edit.image, source.image)
        every = tuple(region for prompt in prompts for region in prompt.regions)
        return EditBatch(
            index=asked.index,
            source=source,
            condition=condition,
            edit=edit,
            before=before,
            after=before if same else AnalysedImages(edit.image, self.networks),
            regions=tuple(every if kind == "sequential" else prompt.regions for prompt in asked.prompts),
            concepts=tuple(prompt.concept for prompt in asked.prompts),
            halo=halo(method.frozen.generator, method.frozen.blend_site),
            threshold=method.frozen.blending.threshold,
            seconds=seconds,
        )

    def source(self, method: Method, seed: int, chunk: range) -> tuple[Source, AnalysedImages]:
        """The sources of a chunk and what the networks say of them, kept until another chunk is asked for."""
        generator = method.frozen.generator
        key = (chunk, seed, type(generator), generator.resolution, method.frozen.blend_site)
        if self._sources is None or self._sources[0] != key:
            self._sources = None  # the old ones make room first
            w = self._latents(method, seed, chunk)
            source = generator.source(w) if self.whole_sources else method.source(w)
            self._sources = (key, source, AnalysedImages(source.image, self.networks))
        return self._sources[1:]

    def _latents(self, method: Method, seed: int, chunk: range) -> Tensor:
        return method.latents(method.frozen.generator.sample_z([seed + i for i in chunk]), self.truncation)

    def _condition(self, row: BuiltRow, asked: PromptBatch) -> Condition:
        """The condition of one prompt for each source; natural strength has its own."""
        strength = asked.strength if asked.strength is not None else proposed_with(row)
        return self.conditions.of([prompt.text for prompt in asked.prompts], strength)

    def _timed(self, row: BuiltRow, condition: Condition, seed: int, chunk: range) -> tuple[Edit, float]:
        """One edit from latents to pixels and its seconds, without embedding the prompt; a first edit is not timed.

        The first is of another face, since a method may keep the answer for a face and a prompt. What chooses an
        automatic strength is part of the edit.
        """
        method = row.method
        w = self._latents(method, seed, chunk)
        edited(row, method.source(method.frozen.generator.w_mean.lerp(w, 0.5)), condition)
        synchronise(w)
        began = time.perf_counter()
        edit, _ = edited(row, method.source(w), condition)
        synchronise(w)
        return edit, time.perf_counter() - began

    def _sequence(self, row: BuiltRow, source: Source, prompts: tuple[Prompt, ...]) -> Edit:
        """One edit after the other on the blended canvas -> the last edit, with the union of all masks."""
        earlier: tuple[EarlierEdit, ...] = ()
        for prompt in prompts:
            condition = self.conditions.of([prompt.text] * len(source), proposed_with(row))
            edit, _ = edited(row, source, condition, earlier, continued=True)
            earlier += (EarlierEdit.of(source, edit),)
            source = next_source(source, edit)
        union = reduce(torch.maximum, (one.mask for one in earlier))
        return replace(edit, mask=union, attention=None, region_attention=None)


def proposed_with(row: BuiltRow) -> float:
    """The strength that the edits of a row are proposed with: its own, or the one that natural strength scales."""
    return row.strength if row.natural is None else row.natural.proposed


def edited(
    row: BuiltRow,
    source: Source,
    condition: Condition,
    earlier: tuple[EarlierEdit, ...] = (),
    natural: bool = True,
    continued: bool = False,
) -> tuple[Edit, Condition]:
    """The edits of a row with their pictures, and the condition with the strengths [B,1] that were chosen.

    `earlier`: as in `combine_with_earlier`. natural: False keeps the condition's strength, which the protocol names.
    continued: another edit follows on the edited canvas.
    """
    method, edit = row.method, row.method.propose(source, condition)
    if natural and row.natural is not None:
        edit, strengths = row.natural.applied(method, source, edit, condition, earlier)
        condition = replace(condition, strength=strengths)
    repeated = source.repeat(condition.per_source)
    render = partial(method.render, keep_tail=continued and method.reads_tail)
    return combine_with_earlier(render, repeated, render(repeated, edit), earlier), condition


def synchronise(like: Tensor) -> None:
    """Wait until the device of `like` is done, so that a clock measures the work and not only its launch."""
    if like.is_cuda:
        torch.cuda.synchronize(like.device)
