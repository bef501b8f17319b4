"""Natural examples: unedited generated faces that have an attribute by themselves, as the judge sees them.

What the networks say of N such faces is kept on disk, a file for each SHARD faces, so that a run that was stopped goes
on, a larger N adds to what is there, and every evaluation of one generator shares them.

Legend: N faces, M of them that have an attribute, C concepts of the judge, D width of an embedding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from where2edit.evaluation.concepts import Asked
from where2edit.evaluation.metrics.edit_batch import AnalysedImages
from where2edit.evaluation.networks import MetricNetworks
from where2edit.evaluation.samples import SamplingPlan
from where2edit.files import tensorfile
from where2edit.files.fingerprints import digest, network_sha256
from where2edit.generators.base import Generator

FIRST_SEED = 500_000  # far from the seeds of sources, sheets and trainings
HAS = 0.8  # a face has an attribute where the judge's probability is above this
LACKS = 0.5  # and lacks it where it is below this
FEWEST = 50  # natural examples that a prompt needs, or it is left out
SHARD = 100  # faces of one file
BATCH = 5  # faces that are computed together; divides SHARD, and small enough for the memory of a CPU process
KIND = "natural-faces"  # of the files
READ = ("inception", "judge", "train_encoder")  # networks whose answers are kept


@dataclass(frozen=True)
class NaturalFaces:
    """What the networks say of N unedited faces."""

    names: tuple[str, ...]  # of the C concepts
    features: Tensor  # [N,2048] of Inception
    logits: Tensor  # [N,C] of the judge
    embeddings: Tensor  # [N,D] of unit length, by the encoder of the training

    def __len__(self) -> int:
        return len(self.logits)

    def examples(self, asked: Asked) -> Tensor:
        """The numbers [M] of the faces that have what is asked for."""
        return torch.nonzero(asked.log_odds(self.logits) > log_odds(HAS))[:, 0]


def log_odds(probability: float) -> float:
    """The log-odds of a probability in (0,1)."""
    return math.log(probability / (1 - probability))


def check_seeds(plans: Iterable[SamplingPlan], count: int) -> None:
    """Raise ValueError where a source of one of the plans would be one of the first `count` natural faces."""
    for plan in plans:
        if plan.seed < FIRST_SEED + count and plan.seed + plan.n > FIRST_SEED:
            raise ValueError(
                f"--seed {plan.seed} with {plan.n} sources meets the natural faces, seeds {FIRST_SEED} to "
                f"{FIRST_SEED + count - 1}; choose sources below or above"
            )


class NaturalFaceStore:
    """Makes natural faces and keeps what the networks say of them, below `folder`.

    `count`: N; `truncation`: that of the sources. Loads the networks that it reads. Raises ValueError for less than one
    face.
    """

    def __init__(self, folder: Path, generator: Generator, networks: MetricNetworks, count: int, truncation: float):
        if count < 1:
            raise ValueError(f"--natural-faces must be at least 1, or 0 to go without them, got {count}")
        self.generator, self.networks, self.count, self.truncation = generator, networks, count, truncation
        networks_read = [network_sha256(networks[name]) for name in READ]
        kind = [generator.name, generator.resolution, network_sha256(generator)]
        self.folder = folder / digest([kind, truncation, FIRST_SEED, SHARD, BATCH, networks_read])

    def make(self, number: int = 0, processes: int = 1) -> None:
        """Make what is missing of the share of process `number`: shards i with i mod `processes` = `number`."""
        starts = range(0, self.count, SHARD)[number::processes]
        missing = [start for start in starts if self._read(start) is None]
        with tqdm(total=len(missing) * SHARD, desc="natural faces", disable=not missing or number > 0) as bar:
            for start in missing:
                found = []
                for first in range(start, start + SHARD, BATCH):
                    found.append(self._measure(range(first, first + BATCH)))
                    bar.update(BATCH)
                whole = {name: torch.cat([part[name] for part in found]) for name in found[0]}
                tensorfile.write(self._path(start), whole, KIND, {})

    def read(self) -> NaturalFaces:
        """All N faces; what is missing is made first."""
        self.make()
        shards = [self._read(start) for start in range(0, self.count, SHARD)]
        tensors = {name: torch.cat([s[name] for s in shards if s])[: self.count].float() for name in shards[0] or ()}
        return NaturalFaces(self.networks["judge"].names, **tensors)

    def _path(self, start: int) -> Path:
        return self.folder / f"{FIRST_SEED + start:06d}.safetensors"

    def _read(self, start: int) -> dict[str, Tensor] | None:
        """The tensors of one shard; None where its file is missing or damaged."""
        try:
            return tensorfile.read(self._path(start), KIND)[0]
        except ValueError:
            return None

    @torch.no_grad()
    def _measure(self, numbers: range) -> dict[str, Tensor]:
        """What the networks say of some faces: the fields of NaturalFaces, features in half precision."""
        z = self.generator.sample_z([FIRST_SEED + i for i in numbers])
        images = self.generator.synthesis(self.generator.styles(self.generator.w(z, self.truncation)))
        seen = AnalysedImages(images, self.networks)
        return {
            "features": seen.embedding("inception").half().cpu(),
            "logits": seen.judged.float().cpu(),
            "embeddings": seen.embedding("train_encoder").cpu(),
        }
