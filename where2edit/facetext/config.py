"""The config of a run of scripts/train_facetext.py or scripts/train_judge.py, and the learning rate of its steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

from where2edit.core.bounds import (
    Bounds,
    Count,
    CountOrNone,
    Pixels,
    Rate,
    Seed,
    Share,
    ShareBelowOne,
)


@dataclass(frozen=True)
class MaterialConfig:
    """The `material` section: the faces that are generated and parsed before training, once, into the run's folder."""

    size: Pixels = 112  # pixels of every stored face
    parsed: CountOrNone = 2500  # training photos with a label map, evenly spread
    parser_size: Annotated[int, Bounds(64, 2048)] = 256  # resolution of the face parsing of photos
    generated: CountOrNone = 800  # faces from seed 100000 on
    validation: Count = 500  # faces from seed 90000 on; they serve the report only


@dataclass(frozen=True)
class Refine:
    """The last steps of a run: the weakest concepts are drawn more often, and the text head is frozen."""

    start: CountOrNone = 0  # step at which it begins and the rate climbs once more; 0 never
    rate: Share = 0.5  # share of the rates that its cosine starts from
    average: ShareBelowOne = 0.99  # decay of the averaged weights
    keep: Share = 0.0  # share of the weights from before these steps in what is published
    concepts: tuple[str, ...] = ()
    # How much more often a caption is about one of them than about any other concept.
    times: Annotated[float, Bounds(0, 1000)] = 5.0
    within: Share = 0.85  # share of their weight balanced inside Male x Young

    def at(self, step: int) -> bool:
        """Whether the run refines at this step."""
        return 0 < self.start <= step


@dataclass(frozen=True)
class Schedule:
    """The `schedule` section: length, learning rates and stages of a run."""

    seed: Seed = 0
    steps: Count = 1200
    rate: Rate = 0.004  # of the pretrained part, per step as a share of each tensor's root mean square
    head_rate: Rate = 1e-3  # of what starts from nothing, absolute
    slow_rate: Rate = 1e-4  # of the text head, which has been taught its concepts before
    weight_decay: Share = 0.02
    warmup: ShareBelowOne = 0.08  # share of the steps in which the rate climbs; a cosine follows
    restart: CountOrNone = 0  # step at which the rate climbs once more, for a second cosine; 0 never
    restart_rate: Share = 0.6  # share of the rates that the second cosine starts from
    refine: Refine = field(default_factory=Refine)
    small_size: Pixels = 88  # pixels in the first part
    small_share: Share = 0.35  # share of the steps at the small size
    average: ShareBelowOne = 0.995  # decay of the averaged weights, which are the ones that are kept
    attack_every: CountOrNone = 4  # every so many steps half of the pictures are perturbed against the network; 0 never
    attack_from: Share = 0.4  # share of the steps before the first of these
    attack_size: Annotated[float, Bounds(0, 2)] = 0.016  # largest change per pixel, of the range of 2
    save_every: Count = 50
    bfloat16: bool = False  # mixed precision: several times faster for the judge on recent CPUs, not for facetext


@dataclass(frozen=True)
class Mix:
    """The `mix` section: how a batch is put together."""

    batch: Annotated[int, Bounds(1, 65_536)] = 64  # pictures a step
    altered: Annotated[int, Bounds(0, 65_536)] = 20  # of them, faces with a label map that are altered
    rare: Share = 0.5  # share of the other faces drawn so that every attribute comes up equally often

    def __post_init__(self):
        if self.altered > self.batch:
            raise ValueError(f"mix.altered is {self.altered}; allowed: 0 to mix.batch, {self.batch}")


@dataclass(frozen=True)
class EncoderConfig:
    """The whole config of a run of scripts/train_facetext.py or scripts/train_judge.py."""

    material: MaterialConfig = field(default_factory=MaterialConfig)
    schedule: Schedule = field(default_factory=Schedule)
    mix: Mix = field(default_factory=Mix)
    captions: Count = 160  # captions a step (facetext)
    composites: CountOrNone = 4000  # captions of several concepts in the bank (facetext)
    affirmed: Share = 0.7  # share of single captions that affirm (facetext)
    within_groups: Share = 0.6  # share of the weight balanced inside Male x Young
    frozen_blocks: Annotated[int, Bounds(0, 100)] = 3  # first blocks of the image tower that stay as ImageNet left them


def rate_at(step: int, schedule: Schedule) -> float:
    """Share of the full learning rate: linear warm-up, then a cosine to 1 %; the same again after each restart."""
    refine, parts = schedule.refine, [(0, 1.0)]
    parts += [(at, rate) for at, rate in ((schedule.restart, schedule.restart_rate), (refine.start, refine.rate)) if at]
    (begin, full), after = parts[0], [*parts[1:], (schedule.steps, 0.0)]
    while step >= after[0][0]:
        begin, full = after.pop(0)
    progress = (step + 1 - begin) / (after[0][0] - begin)
    if progress < schedule.warmup:
        return full * progress / schedule.warmup
    return full * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (progress - schedule.warmup) / (1 - schedule.warmup))))
