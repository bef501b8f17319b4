"""Which sample is which: sources in chunks, prompts in lanes, and the measured numbers of each on disk.

A chunk is a run of sources that is always computed together, so that one process and many give the same bits. A lane is
one prompt for each source of a chunk. What was measured of (row, lane, chunk) is one file, written whole or not at all:
a stopped run goes on, a larger n adds to it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from where2edit.evaluation.protocols import Prompt, Protocol
from where2edit.files import tensorfile

SAMPLES = "samples"  # kind of the files of measured numbers


@dataclass(frozen=True)
class Plan:
    """How many samples of a protocol, and how they are drawn."""

    n: int  # sources
    crossed: bool = False  # every prompt on every source, instead of prompt i mod P on source i
    batch: int = 2  # sources of a chunk; part of what makes two runs comparable to the bit
    seed: int = 100000  # of the first source; far from the seeds that training and sheets use
    sheet: int = 8  # samples of which the contact sheet keeps pictures: the first ones, at least one of each prompt

    def chunks(self) -> list[range]:
        """The numbers of the sources, chunk by chunk."""
        return [range(i, min(i + self.batch, self.n)) for i in range(0, self.n, self.batch)]


@dataclass(frozen=True)
class Lane:
    """One prompt for each source of a chunk; `index` numbers the samples in their protocol."""

    tag: str
    prompts: tuple[Prompt, ...]
    index: Tensor
    strength: float | None = None  # None: the profile's


def lanes(protocol: Protocol, plan: Plan, sources: range) -> list[Lane]:
    """The lanes of one chunk."""
    known, count = protocol.prompts, len(protocol.prompts)
    numbers = torch.tensor(list(sources))
    if protocol.kind == "sequential":
        return [Lane("chain", (known[-1],) * len(sources), numbers)]
    if plan.crossed:
        pairs = [(f"p{j:02d}", (known[j],) * len(sources), numbers * count + j) for j in range(count)]
    else:
        pairs = [("", tuple(known[i % count] for i in sources), numbers)]
    if protocol.kind != "strength":
        return [Lane(tag or "all", prompts, index) for tag, prompts, index in pairs]
    return [Lane(f"{tag}s{s:g}", prompts, index, s) for s in protocol.strengths for tag, prompts, index in pairs]


def prompt_of(protocol: Protocol, plan: Plan, index: int) -> Prompt:
    """The prompt of a sample by its number."""
    return protocol.prompts[index % len(protocol.prompts)]


def slug(text: str) -> str:
    """A label as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "row"


def digest(tree: object) -> str:
    """First 12 hex digits of the sha256 of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:12]


class Store:
    """The measured numbers of one row of one protocol, in a folder whose name tells everything they depend on."""

    def __init__(self, folder: Path, protocol: Protocol, label: str, depends_on: object):
        prompts = [[prompt.text, prompt.concept, *prompt.regions] for prompt in protocol.prompts]
        self.folder = folder / protocol.name / f"{slug(label)}-{digest([depends_on, protocol.kind, prompts])}"

    def path(self, lane: Lane, sources: range) -> Path:
        return self.folder / f"{lane.tag}-{sources.start:06d}.safetensors"

    def read(self, lane: Lane, sources: range, metrics: list[str]) -> dict[str, Tensor] | None:
        """What was measured of a lane of a chunk; None unless it holds exactly its samples and all metrics."""
        path = self.path(lane, sources)
        if not path.is_file():
            return None
        try:
            values, _ = tensorfile.read(path, SAMPLES)
        except ValueError:
            return None  # a damaged file is measured again
        whole = torch.equal(values.get("index", torch.zeros(0)).long(), lane.index)
        return values if whole and all(name in values for name in metrics) else None

    def write(self, lane: Lane, sources: range, values: dict[str, Tensor]) -> None:
        tensorfile.write(self.path(lane, sources), values | {"index": lane.index}, SAMPLES, {})

    def picture(self, index: int, kind: str) -> Path:
        """Where the small picture of a sample of the contact sheet is kept."""
        return self.folder / f"sheet-{index:06d}-{kind}.png"
