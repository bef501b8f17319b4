"""The numbering of samples: sources come in chunks, and each chunk gets one or several batches of prompts.

A chunk is a run of sources that is always computed together, so that one process and many give the same bits.

Legend: B sources of a chunk.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from where2edit.evaluation.options import EvaluationOptions
from where2edit.evaluation.protocols import Prompt, Protocol

SHEET_SAMPLES = 8  # samples that a sheet shows, where the protocol has no more prompts than that
SHEET_SOURCES = 3  # that a sheet of all rows shows
COSTLY = ("strength", "sequential", "time")  # kinds that cost several edits of each source, or measure the clock


@dataclass(frozen=True)
class SamplingPlan:
    """How many samples of a protocol, and how they are drawn."""

    n: int  # sources
    crossed: bool = False  # every prompt on every source, instead of prompt i mod P on source i
    batch: int = EvaluationOptions.batch  # sources of a chunk
    seed: int = EvaluationOptions.seed  # of the first source
    sheet: int = SHEET_SAMPLES  # how many of the first samples the sheet shows: at least one of each prompt

    @classmethod
    def of(cls, protocol: Protocol, options: EvaluationOptions) -> SamplingPlan:
        """The plan of a protocol under these options. Raises ValueError for numbers below 1.

        `options.n` replaces the protocol's n; but without `options.paper`, costly kinds take no more than theirs.
        """
        n = options.n if options.n is not None else protocol.paper_n if options.paper else protocol.n
        if n < 1 or options.batch < 1:
            raise ValueError(f"--n and --batch must be at least 1, got {n} and {options.batch}")
        if protocol.kind in COSTLY and not options.paper:
            n = min(n, protocol.n)
        crossed = options.paper or protocol.crossed
        batch = 1 if protocol.kind == "time" else options.batch
        prompts = len(protocol.prompts)
        sheet = SHEET_SOURCES * prompts if protocol.sheet == "rows" else max(SHEET_SAMPLES, prompts)
        return cls(n, crossed, batch, options.seed, sheet)

    def chunks(self) -> list[range]:
        """The numbers of the sources, chunk by chunk."""
        return [range(i, min(i + self.batch, self.n)) for i in range(0, self.n, self.batch)]


@dataclass(frozen=True)
class PromptBatch:
    """One prompt for each source of a chunk."""

    tag: str  # what tells this batch from the others of its chunk, part of a file name
    prompts: tuple[Prompt, ...]
    index: Tensor  # [B] number of each sample in its protocol
    strength: float | None = None  # None: the profile's


def prompt_batches(protocol: Protocol, plan: SamplingPlan, sources: range) -> list[PromptBatch]:
    """The batches of one chunk of sources."""
    known, count = protocol.prompts, len(protocol.prompts)
    numbers = torch.tensor(list(sources))
    if protocol.kind == "sequential":
        return [PromptBatch("chain", (known[-1],) * len(sources), numbers)]
    if plan.crossed:
        pairs = [(f"p{j:02d}", (known[j],) * len(sources), numbers * count + j) for j in range(count)]
    else:
        pairs = [("", tuple(known[i % count] for i in sources), numbers)]
    if protocol.kind != "strength":
        return [PromptBatch(tag or "all", prompts, index) for tag, prompts, index in pairs]
    return [PromptBatch(f"{tag}s{s:g}", prompts, index, s) for s in protocol.strengths for tag, prompts, index in pairs]


def prompt_of(protocol: Protocol, index: int) -> Prompt:
    """The prompt of sample `index`."""
    return protocol.prompts[index % len(protocol.prompts)]
