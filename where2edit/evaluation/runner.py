"""Runs protocols chunk by chunk; every measured number goes to disk, and what is there is not measured again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

from where2edit.backbones.preprocess import resize
from where2edit.core.sentences import print_line
from where2edit.editing.conditions import Conditions
from where2edit.evaluation.edit_maker import EditMaker
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.edit_batch import EditBatch
from where2edit.evaluation.networks import MetricNetworks
from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.store import MeasurementStore, edit_at
from where2edit.evaluation.table import BuiltRow, PlannedTable
from where2edit.files import pictures

SHEET_CELL = 256  # pixels of one picture of the sample sheet


class ProtocolRunner:
    """Measures tables: sources are made once per chunk and shared between rows, prompts and tables.

    `folder` keeps the measured numbers; `say` prints one line for each chunk.
    """

    def __init__(
        self,
        folder: Path,
        conditions: Conditions,
        networks: MetricNetworks,
        truncation: float,
        say: Callable[[str], None] = print_line,
    ):
        self.folder, self.conditions, self.networks, self.say = folder, conditions, networks, say
        self.maker = EditMaker(conditions, networks, truncation)

    def unavailable(self, protocol: Protocol) -> dict[str, str]:
        """Metrics that cannot be measured here -> the network that is missing."""
        lacking = {name: [n for n in METRICS.get(name).needs if not self.networks.has(n)] for name in protocol.metrics}
        return {name: needs[0] for name, needs in lacking.items() if needs}

    def metrics(self, protocol: Protocol) -> list[str]:
        """The metrics of a protocol that can be measured here."""
        missing = self.unavailable(protocol)
        return [name for name in protocol.metrics if name not in missing]

    def store(self, protocol: Protocol, row: BuiltRow) -> MeasurementStore:
        """Where the numbers of a row are kept."""
        return MeasurementStore(self.folder, protocol, row.label, row.depends_on)

    @torch.no_grad()
    def run(self, tables: list[PlannedTable], number: int = 0, processes: int = 1) -> None:
        """Measure the share of process `number`: every table's chunks i with i mod `processes` = `number`."""
        self.maker.whole_sources = any(row.method.reads_tail for table in tables for row in table.rows)
        chunks = sorted({(chunk.start, chunk.stop) for table in tables for chunk in table.plan.chunks()})
        for i, (start, stop) in enumerate(chunks):
            if i % processes == number:
                began, chunk = time.monotonic(), range(start, stop)
                made = sum(self._chunk(table, chunk) for table in tables if chunk in table.plan.chunks())
                if made:
                    took = time.monotonic() - began
                    self.say(f"chunk {i + 1} of {len(chunks)}: {made} samples, {took:.0f} s")

    def prepare(self, tables: list[PlannedTable]) -> None:
        """Load every network that the tables read, so that processes forked afterwards share them; embed the prompts.

        Prompts are embedded one by one: in a batch the last bits of an embedding depend on the other prompts, and so on
        how the work is shared.
        """
        for prompt in dict.fromkeys(prompt.text for table in tables for prompt in table.protocol.prompts):
            self.conditions.embed([prompt])
        for metric in {metric for table in tables for metric in self.metrics(table.protocol)}:
            for need in METRICS.get(metric).needs:
                self.networks[need]

    def _chunk(self, table: PlannedTable, chunk: range) -> int:
        """Measure what is missing of one chunk of one table; returns the number of edits made."""
        made, metrics = 0, self.metrics(table.protocol)
        for row in table.rows:
            store = self.store(table.protocol, row)
            for asked in table.batches(row, chunk):
                if store.read(asked, chunk, metrics) is None:
                    batch = self.maker.edit_batch(table, row, asked, chunk)
                    measured = {name: METRICS.get(name)(self.networks).measured(batch) for name in metrics}
                    if table.protocol.sheet == "rows" or row is table.rows[-1]:  # what the sheet shows
                        save_pictures(store, batch, table.plan.sheet, asked.strength)
                    store.write(asked, chunk, {name: value.float().cpu() for name, value in measured.items()})
                    made += len(chunk)
        return made


def save_pictures(store: MeasurementStore, batch: EditBatch, count: int, strength: float | None) -> None:
    """Keep small pictures of the first `count` samples for the sample sheet; none is chosen by hand.

    Of a table over strengths they are the source and its edit at each, else also the mask and the difference.
    """
    source, edit = batch.source.image, batch.edit.image
    small = {"source": source}
    if strength is None:
        small["mask"] = pictures.overlay_mask(source, batch.edit.mask)
        if edit is not None:
            small |= {"edit": edit, "difference": pictures.difference(edit, source)}
    elif edit is not None:
        small[edit_at(strength)] = edit
    for i, number in enumerate(batch.index.tolist()):
        if number < count:
            for kind, images in small.items():
                pictures.save_png(resize(images[i : i + 1], SHEET_CELL).clamp(-1, 1), store.picture(number, kind))
