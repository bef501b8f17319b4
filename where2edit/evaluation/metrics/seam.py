"""The visible seam of an edit: edges along the rim of the mask that the source does not have.

Legend: B batch, R output resolution, r blend resolution.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.editing.masks import grow, resize_mask
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import EditBatch


def rim(mask: Tensor, resolution: int) -> Tensor:
    """Pixels within one mask cell of the boundary of M > 0, on both sides of it: [B,1,r,r] -> bool [B,R,R].

    The frame of the picture is no boundary.
    """
    active, cell = resize_mask((mask > 0).float(), resolution), resolution // mask.shape[-1]
    return ((grow(active, cell) > 0) & (grow(1 - active, cell) > 0))[:, 0]


def gradient(images: Tensor) -> Tensor:
    """|d/dx| + |d/dy| by differences of neighbouring pixels, mean over channels: [B,3,R,R] -> [B,R,R]."""
    right = F.pad(images.diff(dim=3), (0, 1)).abs()
    down = F.pad(images.diff(dim=2), (0, 0, 0, 1)).abs()
    return (right + down).mean(1)


@METRICS.register("seam")
class SeamGradient(Metric):
    """How strong the edges are that an edit adds along the rim of its mask; 1: as strong as those of the source there.

    Edits without a rim, whose mask is empty or covers everything, do not count.
    """

    higher_is_better = False
    protocol = (
        "gradient of edited - source along the rim of the mask (one cell to each side), relative to the source's own"
    )

    def measure(self, batch: EditBatch) -> Tensor:
        source, edited = batch.source.image, batch.edit.image
        where = rim(batch.edit.mask, source.shape[-1])
        added, own = ((gradient(x) * where).flatten(1).sum(1) for x in (edited - source, source))
        return torch.where(where.flatten(1).any(1), added / own, torch.nan)
