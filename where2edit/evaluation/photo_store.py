"""Measured numbers of photos on disk: files are named by the photo, so that more photos may come at any place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.samples import PromptBatch
from where2edit.evaluation.store import MeasurementStore


class PhotoStore(MeasurementStore):
    """As MeasurementStore, of chunks of one photo each; `keys` name the photos."""

    def __init__(self, folder: Path, protocol: Protocol, label: str, depends_on: object, keys: Sequence[str]):
        super().__init__(folder, protocol, label, depends_on)
        self.keys = keys

    def path(self, batch: PromptBatch, sources: range) -> Path:
        return self.folder / f"{batch.tag}-{self.keys[sources.start]}.safetensors"

    def read(self, batch: PromptBatch, sources: range, metrics: list[str]) -> dict[str, Tensor] | None:
        return super().read(_unnumbered(batch), sources, metrics)

    def write(self, batch: PromptBatch, sources: range, values: dict[str, Tensor]) -> None:
        super().write(_unnumbered(batch), sources, values)

    def picture(self, index: int, kind: str) -> Path:
        """Where a small picture of the photo `index` is kept."""
        return self.folder / f"sheet-{self.keys[index]}-{kind}.png"


def _unnumbered(batch: PromptBatch) -> PromptBatch:
    """The batch without the numbers of its samples, which change where photos are added."""
    return replace(batch, index=batch.index * 0)
