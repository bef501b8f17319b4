"""Segmentation metrics of the mask: edited cells against the parsed region that the prompt names.

Legend: B edits of the batch, N edits in all, r blend resolution. Face parsing is compared at the resolution of the
mask. The released code resized label maps bilinearly, which invents classes; here the nearest label counts.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from where2edit.backbones.face_parsing import region_mask
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import EditBatch


def predicted(batch: EditBatch) -> Tensor:
    """True where the method edits: bool [B,r,r].

    Where there is an attention, what was thresholded: the attention averaged over regions, or itself without regions,
    at or above the threshold (0.8 in the paper; before the blur, as the released code compares). Else the mask at or
    above one half.
    """
    edit, threshold = batch.edit, batch.condition.threshold
    thresholded = edit.attention if edit.region_attention is None else edit.region_attention
    if thresholded is None:
        return edit.mask[:, 0] >= 0.5
    return thresholded[:, 0] >= (batch.threshold if threshold is None else threshold)


def parsed_cells(batch: EditBatch, like: Tensor) -> Tensor:
    """Face parsing of the source at the resolution of `like` [B,r,r]: int64 [B,r,r]."""
    return F.interpolate(batch.before.labels[:, None].float(), like.shape[1:], mode="nearest")[:, 0].long()


def confusion(batch: EditBatch) -> Tensor:
    """Counts of true positive, false positive, false negative and true negative cells: [B,4].

    nan where the source does not show the region.
    """
    found = predicted(batch)
    labels = parsed_cells(batch, found)
    truth = torch.stack([region_mask(labels[i], *names) for i, names in enumerate(batch.regions)])
    counts = torch.stack([found & truth, found & ~truth, ~found & truth, ~found & ~truth], 1).flatten(2).sum(2).float()
    shown = truth.flatten(1).any(1)
    return torch.where(shown[:, None], counts, torch.nan)


class MaskMetric(Metric):
    """A ratio of the four counts of each edit, averaged over edits."""

    higher_is_better = True
    needs = ("face_parsing",)
    reads_regions = True
    width = 4

    def measure(self, batch: EditBatch) -> Tensor:
        return confusion(batch)

    def scores(self, values: Tensor) -> Tensor:
        return self.ratio(*values.T)

    @abstractmethod
    def ratio(self, hit: Tensor, wrong: Tensor, missed: Tensor, rest: Tensor) -> Tensor:
        """The ratio [N] from cells [N] found rightly, found wrongly, missed, and left out rightly."""


@METRICS.register("mask_iou")
class MaskIou(MaskMetric):
    protocol = "mean intersection over union of the edited cells and the parsed region that the prompt names"

    def ratio(self, hit: Tensor, wrong: Tensor, missed: Tensor, rest: Tensor) -> Tensor:
        return hit / (hit + wrong + missed)


@METRICS.register("mask_iou_macro")
class MaskIouMacro(MaskMetric):
    """The mean of the region's and the background's IoU, as in the released code; an empty mask scores almost 0.5."""

    protocol = "mean macro Jaccard index (region and background) of the edited cells and the parsed region"

    def ratio(self, hit: Tensor, wrong: Tensor, missed: Tensor, rest: Tensor) -> Tensor:
        background = rest / (rest + wrong + missed).clamp(min=1)
        return (hit / (hit + wrong + missed) + background) / 2


@METRICS.register("mask_precision")
class MaskPrecision(MaskMetric):
    """Precision of the edited cells; that of an empty mask counts as 0, so that editing nothing gains nothing."""

    protocol = "mean share of the edited cells that belong to the parsed region that the prompt names"

    def ratio(self, hit: Tensor, wrong: Tensor, missed: Tensor, rest: Tensor) -> Tensor:
        return hit / (hit + wrong).clamp(min=1)


@METRICS.register("mask_recall")
class MaskRecall(MaskMetric):
    protocol = "mean share of the parsed region's cells that are edited"

    def ratio(self, hit: Tensor, wrong: Tensor, missed: Tensor, rest: Tensor) -> Tensor:
        return hit / (hit + missed)


class MaskOn(Metric):
    """Share of one part of the picture that is edited; nan where the source does not show it."""

    needs = ("face_parsing",)
    part: str  # name of the part in backbones.face_parsing

    def measure(self, batch: EditBatch) -> Tensor:
        found = predicted(batch)
        truth = region_mask(parsed_cells(batch, found), self.part).flatten(1)
        return (found.flatten(1) & truth).sum(1) / truth.sum(1)


@METRICS.register("mask_on_background")
class MaskOnBackground(MaskOn):
    higher_is_better = False
    part = "background"
    protocol = "mean share of the parsed background's cells that are edited"


@METRICS.register("mask_on_hair")
class MaskOnHair(MaskOn):
    higher_is_better = None
    part = "hair"
    protocol = "mean share of the parsed hair's cells that are edited"


@METRICS.register("mask_on_face")
class MaskOnFace(MaskOn):
    higher_is_better = None
    part = "face"
    protocol = "mean share of the parsed face's cells (skin, brows, eyes, nose, mouth, lips) that are edited"
