"""The config of a run of scripts/train_encoder.py, and the learning rate of its steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

from where2edit.core.bounds import Bounds, Count, Few, Rate, Seed, Share, ShareBelowOne, Weight
from where2edit.inversion.views import ViewConfig


@dataclass(frozen=True)
class EncoderMaterial:
    """The `material` section: the faces, made before training, once, into the run's folder."""

    photos: Count = 3500  # training photos, evenly spread over the table
    generated: Count = 12_000  # generated training faces
    validation: Count = 200  # held-out faces of either kind, for the figures at the end


@dataclass(frozen=True)
class EncoderWeights:
    """The `losses` section: the weights of the terms of the loss."""

    codes: Weight = 1.0  # of generated faces: squared error of w, as a share of the variance of W
    lpips: Weight = 1.0  # of photos, as the other three
    pixels: Weight = 1.0  # mean squared error of the picture in [-1,1]
    identity: Weight = 0.0  # 1 - cosine of ArcFace; it costs a quarter of a step
    offsets: Weight = 0.02  # mean square of the offsets, in standard deviations of their coordinates
    length: Weight = 0.5  # mean square of the shared coordinates beyond `longest`
    longest: Annotated[float, Bounds(0, 4)] = 0.7  # mean square of a face's coordinates: 0.49 at truncation 0.7, 1 at 1


@dataclass(frozen=True)
class FaceEncoderConfig:
    """The whole config of a run of scripts/train_encoder.py."""

    # The pictures of generated faces, and those that are compared with photos.
    view: ViewConfig = field(
        default_factory=lambda: ViewConfig("64.conv1", "pretrained_models/preview-mobile-64.safetensors")
    )
    # The pictures by which held-out photos are measured.
    measured_at: ViewConfig = field(
        default_factory=lambda: ViewConfig("128.conv1", "pretrained_models/preview-mobile.safetensors")
    )
    material: EncoderMaterial = field(default_factory=EncoderMaterial)
    losses: EncoderWeights = field(default_factory=EncoderWeights)
    generated: Few = 24  # generated faces in a step
    photos: Few = 6  # photos in a step
    steps: Count = 520
    seed: Seed = 0
    rate: Rate = 0.0015  # of the image network, per step as a share of each tensor's root mean square
    head_rate: Rate = 3e-5  # of the layers that read its 3,072 features, absolute
    offset_rate: Rate = 3e-4  # of the last layer of the offsets, which starts at 0
    warmup: ShareBelowOne = 0.05  # share of the steps in which the rate climbs; a cosine follows
    ridge: Annotated[float, Bounds(0, 1000, above=True)] = 0.5  # penalty of the regression that training starts from
    augmented: Share = 0.3  # share of generated faces that are blurred, and of those that are compressed
    save_every: Count = 50
    bfloat16: bool = True  # generator and LPIPS in mixed precision: twice as fast on recent CPUs


def pace_at(step: int, config: FaceEncoderConfig) -> float:
    """The factor of all rates at a step, in (0,1]: it climbs, then falls along a cosine."""
    climb = config.warmup * config.steps
    if step < climb:
        return (step + 1) / (climb + 1)
    return 0.5 + 0.5 * math.cos(math.pi * (step - climb) / max(1.0, config.steps - climb))
