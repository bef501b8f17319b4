"""Does the attention find the region that the prompt names? Masks against face parsing, at the resolution of the mask.

The released code compared with label maps that it had resized bilinearly, which invents classes; here it is nearest.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from where2edit.backbones.face_parsing import region_mask
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import EditBatch


def predicted(batch: EditBatch) -> Tensor:
    """True where the method edits: bool [B,r,r].

    Region attention at or above the method's threshold, 0.8 in the paper, where there is one (before the blur, as the
    released code compares); else the mask at or above one half.
    """
    if batch.edit.region_attention is not None:
        return batch.edit.region_attention[:, 0] >= batch.threshold
    return batch.edit.mask[:, 0] >= 0.5


def confusion(batch: EditBatch) -> Tensor:
    """Cells found, found wrongly, missed and left out rightly: [B,4]; nan where the source does not show the region."""
    found = predicted(batch)
    labels = F.interpolate(batch.before.labels[:, None].float(), found.shape[1:], mode="nearest")[:, 0].long()
    truth = torch.stack([region_mask(labels[i], *names) for i, names in enumerate(batch.regions)])
    counts = torch.stack([found & truth, found & ~truth, ~found & truth, ~found & ~truth], 1).flatten(2).sum(2).float()
    shown = truth.flatten(1).any(1)
    return torch.where(shown[:, None], counts, torch.nan)


class MaskMetric(Metric):
    higher_is_better = True
    needs = ("face_parsing",)
    reads_regions = True
    width = 4

    def measure(self, batch: EditBatch) -> Tensor:
        return confusion(batch)

    def scores(self, values: Tensor) -> Tensor:
        return self.ratio(*values.T)

    def ratio(self, hit: Tensor, wrong: Tensor, missed: Tensor, rest: Tensor) -> Tensor:
        raise NotImplementedError


@METRICS.register("mask_iou")
class MaskIou(MaskMetric):
    protocol = "mean intersection over union of the edited cells and the parsed region that the prompt names"

    def ratio(self, hit: Tensor, wrong: Tensor, missed: Tensor, rest: Tensor) -> Tensor:
        return hit / (hit + wrong + missed)


@METRICS.register("mask_iou_macro")
class MaskIouMacro(MaskMetric):
    """What the released code computes: the mean of the region's and the background's IoU. An empty mask scores high."""

    protocol = "mean macro Jaccard index (region and background) of the edited cells and the parsed region"

    def ratio(self, hit: Tensor, wrong: Tensor, missed: Tensor, rest: Tensor) -> Tensor:
        background = rest / (rest + wrong + missed).clamp(min=1)
        return (hit / (hit + wrong + missed) + background) / 2


@METRICS.register("mask_precision")
class MaskPrecision(MaskMetric):
    """An empty mask has no precision; it counts as 0, so that editing nothing wins nothing."""

    protocol = "mean share of the edited cells that belong to the parsed region that the prompt names"

    def ratio(self, hit: Tensor, wrong: Tensor, missed: Tensor, rest: Tensor) -> Tensor:
        return hit / (hit + wrong).clamp(min=1)


@METRICS.register("mask_recall")
class MaskRecall(MaskMetric):
    protocol = "mean share of the parsed region's cells that are edited"

    def ratio(self, hit: Tensor, wrong: Tensor, missed: Tensor, rest: Tensor) -> Tensor:
        return hit / (hit + missed)


class MaskOn(Metric):
    """How much of one part of the face is edited; nan where the source does not show it."""

    needs = ("face_parsing",)
    part: str

    def measure(self, batch: EditBatch) -> Tensor:
        found = predicted(batch)
        labels = F.interpolate(batch.before.labels[:, None].float(), found.shape[1:], mode="nearest")[:, 0].long()
        truth = region_mask(labels, self.part).flatten(1)
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
