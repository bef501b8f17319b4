"""Which parts of a face the fitted regions show: the share of each part in each region.

k-means says nothing of what a region shows. A face parser measures it once, on a few generated faces; training then
knows where "hair" is in every later face without a parser. The parser has one class for all skin. It is divided by
height into bands: the forehead reaches down to the brows, the sockets to the eyes, the cheeks to the tip of the nose,
and the jaw is below. Ours, not the paper's.

Legend: k regions, r resolution of the fitted site, s pixels of a parsed picture; 23 parts.
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
BELONGS = 0.5  # a region belongs to a part when at least this share of its cells shows it
SMALLEST_COUNT = 1e-6  # cells; the shares of a region that was never seen are 0 and not 0/0


def measure_and_save(generator: Generator, regions: Regions, path: str | Path) -> None:
    """Measure the shares of fitted regions and save regions and shares at `path`, unless they have shares already."""
    if regions.shares is None or regions.shares.shape[1] != len(PARTS):
        regions.shares = measure(generator, regions, FaceParser.load().to(generator.w_mean.device), FACES)
        regions.save(path)


@torch.no_grad()
def measure(generator: Generator, regions: Regions, parser: FaceParser, faces: Sequence[int]) -> Tensor:
    """Shares [k,23] of each of PARTS in each region, over the faces of the seeds `faces`.

    Rows sum to 1, or 0 where a region was never seen.
    """
    counts = generator.w_mean.new_zeros(regions.num_regions, len(PARTS))
    for seed in tqdm(faces, desc="parts of regions", leave=False):
        source = generator.source(generator.w(generator.sample_z([seed]), regions.config.truncation))
        labels = regions.label(source.features[regions.site])
        parts = with_bands(parser.labels(source.image)[0])  # [s,s]
        parts = F.one_hot(parts, len(PARTS)).permute(2, 0, 1).float()  # [s,s,23] -> [23,s,s]
        cells = F.adaptive_avg_pool2d(parts, labels.shape[-1])  # [23,r,r]: shares in each cell
        counts.index_add_(0, labels.flatten(), cells.flatten(1).T)  # [r*r,23] added to the rows of their regions
    return counts / counts.sum(1, keepdim=True).clamp_min(SMALLEST_COUNT)


def with_bands(labels: Tensor) -> Tensor:
    """Labels [s,s] of face parsing with skin replaced by its bands; without brows, eyes and nose all of it is jaw."""
    rows = torch.arange(len(labels), device=labels.device)
    # The last row of forehead, sockets and cheeks; no band ends above the one before it.
    ends = accumulate((_lowest_row(labels, part) for part in ("brows", "eyes", "nose")), max)
    band = sum((rows > end).long() for end in ends)  # [s] from 0, forehead, to 3, jaw
    return torch.where(region_mask(labels, "skin"), len(CLASSES) + band[:, None], labels)


def _lowest_row(labels: Tensor, part: str) -> int:
    """The lowest row in which a part is seen; -1 where it is not."""
    seen = region_mask(labels, part).any(1).nonzero()
    return int(seen.max()) if len(seen) else -1


def part_ids(part: str) -> tuple[int, ...]:
    """The columns of PARTS that make up a part: a band, or a group or class of face parsing, "skin" being all bands.

    Raises ValueError for an unknown name.
    """
    if part in BANDS:
        return (PARTS.index(part),)
    skin = CLASSES.index("skin")
    bands = tuple(map(PARTS.index, BANDS))
    return tuple(column for i in class_ids(part) for column in (bands if i == skin else (i,)))


def belonging(shares: Tensor, parts: Iterable[str]) -> Tensor:
    """Which regions show mostly the given parts, together at least half: shares [k,23] -> bool [k]."""
    ids = sorted({i for part in parts for i in part_ids(part)})
    return shares[:, ids].sum(1) >= BELONGS
