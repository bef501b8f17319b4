"""Drift: what a sequence of edits did to pixels that no edit of it may reach."""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import EditBatch


@METRICS.register("drift")
class Drift(Metric):
    """Mean change after a sequence of edits of the pixels that none of them may reach; 0 for a local method.

    `source` is the image before the first edit, `edit.image` the one after the last, `edit.mask` the union of masks.
    """

    higher_is_better = False
    protocol = "mean |last - first image| outside every mask + halo of a chain of edits, images in [-1,1]"

    def measure(self, batch: EditBatch) -> Tensor:
        outside = batch.outside_mask
        mean = (batch.difference * outside).flatten(1).sum(1) / outside.flatten(1).sum(1).clamp(min=1)
        return torch.where(outside.flatten(1).any(1), mean, torch.nan)
