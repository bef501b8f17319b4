"""Measured numbers on disk: one file for each batch of a row, written whole or not at all.

A run that was stopped goes on, and a larger n adds to what is there.

Legend: B edits of the batch, K numbers that a metric keeps of each.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.samples import PromptBatch
from where2edit.files import tensorfile
from where2edit.files.fingerprints import digest

SAMPLES = "samples"  # kind of the files of measured numbers


def edit_at(strength: float) -> str:
    """The kind of picture that an edit of a table over strengths is kept as."""
    return f"edit-{strength:g}"


def slug(text: str) -> str:
    """A label as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "row"


class MeasurementStore:
    """The measured numbers of one row of one protocol, in a folder whose name has a digest of all they depend on.

    `depends_on`: the row's config, weights and plan, as anything that JSON can hold.
    """

    def __init__(self, folder: Path, protocol: Protocol, label: str, depends_on: object):
        prompts = [[prompt.text, prompt.concept, *prompt.regions] for prompt in protocol.prompts]
        self.folder = folder / protocol.name / f"{slug(label)}-{digest([depends_on, protocol.kind, prompts])}"

    def path(self, batch: PromptBatch, sources: range) -> Path:
        """The file of one batch of a chunk."""
        return self.folder / f"{batch.tag}-{sources.start:06d}.safetensors"

    def read(self, batch: PromptBatch, sources: range, metrics: list[str]) -> dict[str, Tensor] | None:
        """What was measured of a batch, by metric; None unless its file holds exactly its samples and all metrics."""
        path = self.path(batch, sources)
        if not path.is_file():
            return None
        try:
            values, _ = tensorfile.read(path, SAMPLES, finite=False)  # a metric may have nothing to say
        except ValueError:
            return None  # a damaged file is measured again
        whole = torch.equal(values.get("index", torch.zeros(0)).long(), batch.index)
        return values if whole and all(name in values for name in metrics) else None

    def write(self, batch: PromptBatch, sources: range, values: dict[str, Tensor]) -> None:
        """Keep what was measured of a batch: for each metric [B,K]."""
        tensorfile.write(self.path(batch, sources), values | {"index": batch.index}, SAMPLES, {})

    def picture(self, index: int, kind: str) -> Path:
        """Where a small picture of one sample is kept, for the sample sheet."""
        return self.folder / f"sheet-{index:06d}-{kind}.png"
