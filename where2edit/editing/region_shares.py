"""Which parts of a face the fitted regions show: the share of each part in each region.

k-means says nothing of what a region shows. A face parser measures it once, on a few generated faces; training then
knows where "hair" is in every later face without a parser. Ours, not the paper's.

Legend: k regions, r resolution of the fitted site, s pixels of a parsed picture; 25 parts (face_parts.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from where2edit.backbones.face_parsing import FaceParser
from where2edit.core.sentences import print_line
from where2edit.editing import part_classifier
from where2edit.editing.face_parts import PARTS, divided, part_ids
from where2edit.editing.regions import Regions
from where2edit.generators.base import Generator

FACES = range(3000, 3024)  # seeds of the faces that are parsed; none takes part in the fit of the regions
BELONGS = 0.5  # a region belongs to a part when at least this share of its cells shows it
SMALLEST_COUNT = 1e-6  # cells; the shares of a region that was never seen are 0 and not 0/0


def measure_and_save(generator: Generator, regions: Regions, path: str | Path) -> None:
    """Find out which parts the fitted regions show and save it with them at `path`, unless they know it already.

    Regions that are divided by part get their part classifier; others the share of each part.
    """
    if regions.shares is not None:
        return
    parser = FaceParser.load().to(generator.w_mean.device)
    if regions.config.by_parts:
        regions.classifier, agreement = part_classifier.fit(generator, regions.site, parser)
        print_line(f"part classifier: {agreement:.1%} of the cells of held-out faces as the parser labels them")
    else:
        regions.measured = measure(generator, regions, parser, FACES)
    regions.save(path)


@torch.no_grad()
def measure(generator: Generator, regions: Regions, parser: FaceParser, faces: Sequence[int]) -> Tensor:
    """Shares [k,25] of each of PARTS in each region, over the faces of the seeds `faces`.

    Rows sum to 1, or 0 where a region was never seen.
    """
    counts = generator.w_mean.new_zeros(regions.num_regions, len(PARTS))
    for seed in tqdm(faces, desc="parts of regions", leave=False):
        source = generator.source(generator.w(generator.sample_z([seed]), regions.config.truncation))
        labels = regions.label(source.features[regions.site])
        parts = divided(parser.labels(source.image)[0])  # [s,s]
        parts = F.one_hot(parts, len(PARTS)).permute(2, 0, 1).float()  # [s,s,25] -> [25,s,s]
        cells = F.adaptive_avg_pool2d(parts, labels.shape[-1])  # [25,r,r]: shares in each cell
        counts.index_add_(0, labels.flatten(), cells.flatten(1).T)  # [r*r,25] added to the rows of their regions
    return counts / counts.sum(1, keepdim=True).clamp_min(SMALLEST_COUNT)


def belonging(shares: Tensor, parts: Iterable[str]) -> Tensor:
    """Which regions show mostly the given parts, together at least half: shares [k,25] -> bool [k]."""
    ids = sorted({i for part in parts for i in part_ids(part)})
    return shares[:, ids].sum(1) >= BELONGS
