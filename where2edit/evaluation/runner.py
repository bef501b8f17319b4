"""Run protocols: sources once per chunk, shared between rows, prompts and tables; every measured number goes to disk.

Legend: B sources of a chunk.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

import torch
from torch import Tensor

from where2edit.backbones.preprocess import resize
from where2edit.core.records import Edit, Source
from where2edit.editing.blending import blended_sites, halo
from where2edit.editing.conditions import Conditions
from where2edit.editing.sequences import Painted, carry_on, paint_over
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Case, Tools, View
from where2edit.evaluation.protocols import Prompt, Protocol, Row
from where2edit.evaluation.samples import Lane, Plan, Store, lanes
from where2edit.files import pictures
from where2edit.methods.base import Method
from where2edit.methods.controls import OracleMask

SHEET_CELL = 256  # pixels of the contact sheet's pictures


@dataclass(frozen=True)
class Contestant:
    """A row that can run: its method and the strength that it edits with by default."""

    row: Row
    method: Method
    strength: float
    depends_on: object  # config, weights, plan: what its numbers depend on


class Runner:
    """Measures protocols chunk by chunk; what is on disk already is not measured again."""

    def __init__(self, folder: Path, conditions: Conditions, tools: Tools, truncation: float, say: Callable = print):
        self.folder, self.conditions, self.tools = folder, conditions, tools
        self.truncation, self.say = truncation, say
        self._sources: tuple[tuple, Source, View] | None = None
        self._tail = False  # whether any row reads what a source wrote past the blend site

    def unavailable(self, protocol: Protocol) -> dict[str, str]:
        """Metrics that cannot be had here -> the tool that is missing."""
        lacking = {name: [n for n in METRICS.get(name).needs if not self.tools.has(n)] for name in protocol.metrics}
        return {name: needs[0] for name, needs in lacking.items() if needs}

    def metrics(self, protocol: Protocol) -> list[str]:
        """The metrics of a protocol that can be had here."""
        missing = self.unavailable(protocol)
        return [name for name in protocol.metrics if name not in missing]

    def store(self, protocol: Protocol, contestant: Contestant) -> Store:
        return Store(self.folder, protocol, contestant.row.label, contestant.depends_on)

    @torch.no_grad()
    def run(self, tables: list[tuple[Protocol, Plan, list[Contestant]]], number: int = 0, processes: int = 1) -> None:
        """The share of process `number`: every table's chunks i with i mod `processes` = `number`."""
        self._tail = any(row.method.reads_tail for table in tables for row in table[2])
        chunks = sorted({(chunk.start, chunk.stop) for _, plan, _ in tables for chunk in plan.chunks()})
        for i, (start, stop) in enumerate(chunks):
            if i % processes == number:
                began, chunk = time.monotonic(), range(start, stop)
                done = [self._chunk(*table, chunk) for table in tables if chunk in table[1].chunks()]
                if sum(done):
                    took = time.monotonic() - began
                    self.say(f"chunk {i + 1} of {len(chunks)}: {sum(done)} samples, {took:.0f} s", flush=True)

    def prepare(self, tables: list[tuple[Protocol, Plan, list[Contestant]]]) -> None:
        """Load every network that the tables read, so that processes forked afterwards share them; embed the prompts.

        One by one: in a batch the last bits of an embedding depend on the other prompts, and so on who embeds it when.
        """
        for prompt in dict.fromkeys(prompt.text for table in tables for prompt in table[0].prompts):
            self.conditions.embed([prompt])
        for metric in {metric for table in tables for metric in self.metrics(table[0])}:
            for need in METRICS.get(metric).needs:
                self.tools[need]

    def _chunk(self, protocol: Protocol, plan: Plan, contestants: list[Contestant], chunk: range) -> int:
        """Measure what is missing of one chunk of one table; returns the number of edits made."""
        made, metrics = 0, self.metrics(protocol)
        for contestant in contestants:
            store = self.store(protocol, contestant)
            for lane in lanes(protocol, plan, chunk):
                if store.read(lane, chunk, metrics) is None:
                    case = self.case(protocol, plan, contestant, lane, chunk)
                    measured = {name: METRICS.get(name)(self.tools).measure(case) for name in metrics}
                    if contestant is contestants[-1]:  # the contact sheet shows the last row
                        self._pictures(store, case, plan)
                    store.write(lane, chunk, {name: value.float().cpu() for name, value in measured.items()})
                    made += len(chunk)
        return made

    def source(self, method: Method, plan: Plan, chunk: range) -> tuple[Source, View]:
        """The sources of a chunk and what the networks say of them, kept until the next chunk is asked for."""
        generator = method.frozen.generator
        key = (chunk, plan.seed, type(generator), generator.resolution)
        if self._sources is None or self._sources[0] != key:
            self._sources = None
            w = method.latents(generator.sample_z([plan.seed + i for i in chunk]), self.truncation)
            source = method.source(w) if self._tail else trunk(method, w)
            self._sources = (key, source, View(source.image, self.tools))
        return self._sources[1:]

    def case(self, protocol: Protocol, plan: Plan, contestant: Contestant, lane: Lane, chunk: range) -> Case:
        """Edit one lane of a chunk and put together what metrics read."""
        method = contestant.method
        source, before = self.source(method, plan, chunk)
        seconds = None
        if isinstance(method, OracleMask):
            method.regions = {prompt.text: prompt.regions for prompt in protocol.prompts}
            method.parser = self.tools["face_parsing"]
        if protocol.kind == "sequential":
            edit = self._chain(method, source, protocol.prompts, contestant.strength)
        elif protocol.kind == "time":
            edit, seconds = self._timed(contestant, plan, lane, chunk)
        else:
            edit = self._edit(contestant, source, lane, render=protocol.kind != "masks")
        same = edit.image is None or torch.equal(edit.image, source.image)
        every = tuple(region for prompt in protocol.prompts for region in prompt.regions)
        return Case(
            index=lane.index,
            source=source,
            condition=self._condition(contestant, lane),
            edit=edit,
            before=before,
            after=before if same else View(edit.image, self.tools),
            regions=tuple(every if protocol.kind == "sequential" else prompt.regions for prompt in lane.prompts),
            concepts=tuple(prompt.concept for prompt in lane.prompts),
            halo=halo(method.frozen.generator, method.frozen.blend_site),
            threshold=method.frozen.blending.threshold,
            seconds=seconds,
        )

    def _condition(self, contestant: Contestant, lane: Lane):
        strength = contestant.strength if lane.strength is None else lane.strength
        return self.conditions.of([prompt.text for prompt in lane.prompts], strength)

    def _edit(self, contestant: Contestant, source: Source, lane: Lane, render: bool = True) -> Edit:
        """One edit of each source; without `render` only the mask, where the method can propose one."""
        run = contestant.method if render else contestant.method.propose
        return run(source, self._condition(contestant, lane))

    def _timed(self, contestant: Contestant, plan: Plan, lane: Lane, chunk: range) -> tuple[Edit, float]:
        """One edit from latents to pixels, after one that warms up; the prompt is embedded before."""
        method = contestant.method
        w = method.latents(method.frozen.generator.sample_z([plan.seed + i for i in chunk]), self.truncation)
        condition = self._condition(contestant, lane)
        method(method.source(w), condition)
        synchronise(w)
        began = time.perf_counter()
        edit = method(method.source(w), condition)
        synchronise(w)
        return edit, time.perf_counter() - began

    def _chain(self, method: Method, source: Source, prompts: tuple[Prompt, ...], strength: float) -> Edit:
        """Edit after edit on the blended canvas; the last edit's image, with the union of all masks."""
        earlier: tuple[Painted, ...] = ()
        for prompt in prompts:
            condition = self.conditions.of([prompt.text] * len(source), strength)
            edit = paint_over(method.render, source, method(source, condition), earlier)
            earlier += (Painted.of(source, edit),)
            source = carry_on(source, edit)
        union = reduce(torch.maximum, (one.mask for one in earlier))
        return replace(edit, mask=union, region_attention=None)

    def _pictures(self, store: Store, case: Case, plan: Plan) -> None:
        """Small pictures of the first samples, for the contact sheet: the seeds choose them, nobody else."""
        small = {"source": case.source.image, "mask": pictures.overlay_mask(case.source.image, case.edit.mask)}
        if case.edit.image is not None:
            difference = pictures.difference(case.edit.image, case.source.image)
            small |= {"edit": case.edit.image, "difference": difference}
        for i, number in enumerate(case.index.tolist()):
            if number < plan.sheet:
                for kind, images in small.items():
                    pictures.save_png(resize(images[i : i + 1], SHEET_CELL).clamp(-1, 1), store.picture(number, kind))


def trunk(method: Method, w: Tensor) -> Source:
    """The source of latents w without what it wrote past the blend site, which is most of its memory."""
    generator = method.frozen.generator
    source = generator.source(w, upto=blended_sites(generator, method.frozen.blend_site)[-1].name)
    return source.with_(image=generator.synthesis(source.styles))


def synchronise(like: Tensor) -> None:
    """Wait until the device of `like` is done, so that a clock measures the work and not its ordering."""
    if like.is_cuda:
        torch.cuda.synchronize(like.device)
