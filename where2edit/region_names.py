"""Which parts of a face the fitted regions show: each region's share of every class of face parsing.

Regions come from k-means and have no names. Parsing a few generated faces once names them for every later face, so that
training knows where "hair" is without a parser at its side. Ours, not the paper's.

Legend: k regions, r resolution of the fitted site, R output resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from where2edit.backbones.face_parsing import CLASSES, FaceParser, class_ids
from where2edit.generators.base import Generator
from where2edit.regions import Regions

FACES = range(3000, 3024)  # seeds of the faces that are parsed; none takes part in the fit of the regions
NAMED = 0.5  # share of its cells from which on a region belongs to a part


def name(generator: Generator, regions: Regions, path: str | Path) -> None:
    """Measure the names of fitted regions and save both, unless they are named already."""
    if regions.names is None:
        regions.names = measure(generator, regions, FaceParser.load().to(generator.w_mean.device), FACES)
        regions.save(path)


@torch.no_grad()
def measure(generator: Generator, regions: Regions, parser: FaceParser, faces: Sequence[int]) -> Tensor:
    """Shares [k,19] of the parsed classes in each region, over generated faces; rows sum to 1, or 0 if never seen."""
    counts = generator.w_mean.new_zeros(regions.num_regions, len(CLASSES))
    for seed in tqdm(faces, desc="name regions", leave=False):
        source = generator.source(generator.w(generator.sample_z([seed]), regions.config.truncation))
        labels = regions.label(source.features[regions.config.site])
        classes = F.one_hot(parser.labels(source.image)[0], len(CLASSES)).permute(2, 0, 1).float()
        cells = F.adaptive_avg_pool2d(classes, labels.shape[-1])  # [19,r,r] shares of a cell
        counts.index_add_(0, labels.flatten(), cells.flatten(1).T)
    return counts / counts.sum(1, keepdim=True).clamp_min(1e-6)


def belonging(names: Tensor, parts: tuple[str, ...]) -> Tensor:
    """Regions of which at least half shows any of the parts (groups of face parsing): bool [k] from names [k,19]."""
    ids = sorted({i for part in parts for i in class_ids(part)})
    return names[:, ids].sum(1) >= NAMED
