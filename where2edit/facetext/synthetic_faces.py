"""Generates faces with their label maps, and parses photos: the small pictures that facetext and the judge train on.

Legend: N faces, B of a batch, s pixels, S pixels of a full-size label map. Pictures are uint8 [N,3,s,s], label maps
uint8 [N,s,s] (classes of backbones.face_parsing).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from where2edit.backbones.face_parsing import FaceParser
from where2edit.facetext.packed import Faces
from where2edit.generators.base import Generator

TRAIN_SEEDS = 100_000  # seeds of training faces start here
VALIDATION_SEEDS = 90_000  # and those of validation faces here; there are fewer than 10,000 of them
# By seed modulo 4: mostly 0.7, which the editor uses; wider ones give hats, glasses and children.
TRUNCATIONS = (0.7, 0.7, 0.85, 1.0)


@torch.no_grad()
def generate(
    generator: Generator,
    parser: FaceParser,
    seeds: Sequence[int],
    size: int,
    batch: int = 8,
    truncations: tuple = TRUNCATIONS,
) -> Faces:
    """One face per seed: `size` pixels with the label map of the full-size picture. Runs where the generator is."""
    pictures, maps = [], []
    for start in tqdm(range(0, len(seeds), batch), desc="generate", leave=False):
        chunk = seeds[start : start + batch]
        truncation = torch.tensor([truncations[seed % len(truncations)] for seed in chunk]).to(generator.w_mean)
        w = generator.w_mean + truncation[:, None] * (generator.mapping(generator.sample_z(chunk)) - generator.w_mean)
        image = generator.synthesis(generator.styles(w[:, None].expand(-1, generator.num_w, -1)))
        maps.append(shrink_labels(quick_labels(parser, image), size).cpu())
        small = F.interpolate(image, (size, size), mode="bilinear", antialias=True, align_corners=False)
        pictures.append(to_bytes(small).cpu())
    return Faces(torch.cat(pictures), torch.cat(maps), torch.tensor(list(seeds)))


@torch.no_grad()
def parse(parser: FaceParser, images: Tensor, batch: int = 8) -> Tensor:
    """Label maps uint8 [N,s,s] of pictures uint8 [N,3,s,s]. Runs where the parser is."""
    device = next(parser.parameters()).device
    maps = []
    for start in tqdm(range(0, len(images), batch), desc="parse", leave=False):
        chunk = images[start : start + batch].to(device).float() / 127.5 - 1
        maps.append(shrink_labels(quick_labels(parser, chunk), images.shape[-1]).cpu())
    return torch.cat(maps)


def quick_labels(parser: FaceParser, images: Tensor) -> Tensor:
    """`parser.labels` in mixed precision: int64 [B,size,size], five times faster on CPUs that multiply bfloat16.

    More than 98 % of the pixels get the label that fp32 gives them.
    """
    with torch.autocast(images.device.type, torch.bfloat16):
        return parser.labels(images.contiguous(memory_format=torch.channels_last))


def to_bytes(images: Tensor) -> Tensor:
    """Images in [-1,1] -> uint8 in 0 ... 255."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def shrink_labels(labels: Tensor, size: int) -> Tensor:
    """int64 [B,S,S] -> uint8 [B,size,size] by picking the nearest: averaging would invent classes."""
    return F.interpolate(labels[:, None].float(), (size, size), mode="nearest-exact")[:, 0].to(torch.uint8)
