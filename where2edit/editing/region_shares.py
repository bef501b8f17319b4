"""Which parts of a face the fitted regions show: each region's share of every class of face parsing.

Regions come from k-means and have no names. Parsing a few generated faces once names them for every later face, so that
training knows where "hair" is without a parser at its side. Skin, which the parser does not divide, is forehead, eye
sockets, cheeks or jaw by its height: above the brows, beside the eyes, down to the nose's tip, and below. Ours, not the
paper's.

Legend: k regions, r resolution of the fitted site, R output resolution.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from where2edit.backbones.face_parsing import CLASSES, FaceParser, class_ids, region_mask
from where2edit.editing.regions import Regions
from where2edit.generators.base import Generator

BANDS = ("forehead", "sockets", "cheeks", "jaw")  # of skin, from top to bottom
PARTS = CLASSES + BANDS  # a cell of skin counts for its band, and not for skin as a whole
FACES = range(3000, 3024)  # seeds of the faces that are parsed; none takes part in the fit of the regions
NAMED = 0.5  # share of its cells from which on a region belongs to a part


def name(generator: Generator, regions: Regions, path: str | Path) -> None:
    """Measure the names of fitted regions and save both, unless they are named already, by today's names."""
    if regions.shares is None or regions.shares.shape[1] != len(PARTS):
        regions.shares = measure(generator, regions, FaceParser.load().to(generator.w_mean.device), FACES)
        regions.save(path)


@torch.no_grad()
def measure(generator: Generator, regions: Regions, parser: FaceParser, faces: Sequence[int]) -> Tensor:
    """Shares [k,23] of each of PARTS in each region, over generated faces; rows sum to 1, or 0 if never seen."""
    counts = generator.w_mean.new_zeros(regions.num_regions, len(PARTS))
    for seed in tqdm(faces, desc="name regions", leave=False):
        source = generator.source(generator.w(generator.sample_z([seed]), regions.config.truncation))
        labels = regions.label(source.features[regions.site])
        classes = F.one_hot(with_bands(parser.labels(source.image)[0]), len(PARTS)).permute(2, 0, 1).float()
        cells = F.adaptive_avg_pool2d(classes, labels.shape[-1])  # [23,r,r] shares of a cell
        counts.index_add_(0, labels.flatten(), cells.flatten(1).T)
    return counts / counts.sum(1, keepdim=True).clamp_min(1e-6)


def with_bands(labels: Tensor) -> Tensor:
    """Labels [s,s] of face parsing, skin replaced by its bands; without brows, eyes and nose all of it is jaw."""
    rows = torch.arange(len(labels), device=labels.device)
    ends = accumulate((_lowest_row(labels, part) for part in ("brows", "eyes", "nose")), max)  # of all bands but jaw
    band = sum((rows > end).long() for end in ends)
    return torch.where(region_mask(labels, "skin"), len(CLASSES) + band[:, None], labels)


def _lowest_row(labels: Tensor, part: str) -> int:
    seen = region_mask(labels, part).any(1).nonzero()
    return int(seen.max()) if len(seen) else -1


def part_ids(part: str) -> tuple[int, ...]:
    """Columns of a band, or of a group or class of face parsing. Raises ValueError for an unknown name."""
    if part in BANDS:
        return (PARTS.index(part),)
    skin = CLASSES.index("skin")
    bands = tuple(map(PARTS.index, BANDS))
    return tuple(column for i in class_ids(part) for column in (bands if i == skin else (i,)))


def belonging(names: Tensor, parts: Iterable[str]) -> Tensor:
    """Regions of which at least half shows any of the parts: bool [k] from names [k,23]."""
    ids = sorted({i for part in parts for i in part_ids(part)})
    return names[:, ids].sum(1) >= NAMED
