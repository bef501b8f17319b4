"""An edit as the released pipeline computes it, from our reference operations: what speed is measured against.

Four whole passes with a weight of its own for each sample (docs/paper_vs_code.md), attention averaged by a loop over
regions, and two images enlarged seven times for the text-image encoder.

Legend: R output resolution, r blend resolution, k regions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.records import Source
from where2edit.generators.stylegan2 import StyleGAN2

PASSES, ENLARGED, READ = 4, 7, 224  # whole passes; factor and pixels of what the encoder reads


@torch.no_grad()
def naive_edit(generator: StyleGAN2, source: Source, attention: Tensor, labels: Tensor, k: int) -> list[Tensor]:
    """The work of one edit: attention [1,1,r,r] and labels [1,r,r] of the source; returns what the encoder reads."""
    impl, generator.arithmetic.impl = generator.arithmetic.impl, "reference"
    try:
        images = [generator.synthesis(source.styles) for _ in range(PASSES)]
    finally:
        generator.arithmetic.impl = impl
    mean = torch.zeros_like(attention)
    for region in range(k):
        cells = labels[:, None] == region
        mean[cells] = attention[cells].mean()
    return [
        F.avg_pool2d(F.interpolate(image, scale_factor=ENLARGED, mode="nearest"), ENLARGED * image.shape[-1] // READ)
        for image in images[-2:]
    ]
