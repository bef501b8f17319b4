"""Locality: what changes outside mask + halo, where a local method changes nothing, and outside the named region.

Legend: B batch, R resolution. Differences are the largest channel of |edited - source|.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import CHANGED, EditBatch


def share(where: Tensor, among: Tensor) -> Tensor:
    """Share of the pixels of `among` [B,R,R] at which `where` is true: [B]; nan where `among` is empty."""
    return (where & among).flatten(1).sum(1) / among.flatten(1).sum(1)


@METRICS.register("changed_outside_mask")
class ChangedOutsideMask(Metric):
    """Share of the pixels out of reach that change at all: exactly 0 for a local method.

    An edit whose mask and halo reach every pixel does not count.
    """

    higher_is_better = False
    protocol = "share of pixels outside mask + halo that differ from the source at all (in the last bit)"

    def measure(self, batch: EditBatch) -> Tensor:
        return share(batch.difference > 0, batch.outside_mask)


@METRICS.register("leak_outside_mask")
class LeakOutsideMask(Metric):
    higher_is_better = False
    protocol = "largest |edited - source| outside mask + halo, images in [-1,1], mean over samples"

    def measure(self, batch: EditBatch) -> Tensor:
        leak = (batch.difference * batch.outside_mask).flatten(1).amax(1)
        return torch.where(batch.outside_mask.flatten(1).any(1), leak, torch.nan)


@METRICS.register("changed_outside_region")
class ChangedOutsideRegion(Metric):
    higher_is_better = False
    needs = ("face_parsing",)
    reads_regions = True
    protocol = "share of pixels outside the region that the prompt names that change by more than one of 255 levels"

    def measure(self, batch: EditBatch) -> Tensor:
        return share(batch.difference > CHANGED, batch.outside_region)


@METRICS.register("difference_outside_region")
class DifferenceOutsideRegion(Metric):
    higher_is_better = False
    needs = ("face_parsing",)
    reads_regions = True
    protocol = "mean |edited - source| outside the region that the prompt names, images in [-1,1]"

    def measure(self, batch: EditBatch) -> Tensor:
        outside = batch.outside_region
        return (batch.difference * outside).flatten(1).sum(1) / outside.flatten(1).sum(1)


@METRICS.register("difference_inside_share")
class DifferenceInsideShare(Metric):
    """Share of an edit's change that lies inside the named region, which does not depend on its strength.

    Edits that change nothing do not count.
    """

    higher_is_better = True
    needs = ("face_parsing",)
    reads_regions = True
    protocol = "share of the summed |edited - source| that lies inside the region that the prompt names"

    def measure(self, batch: EditBatch) -> Tensor:
        total = batch.difference.flatten(1).sum(1)
        return (batch.difference * ~batch.outside_region).flatten(1).sum(1) / total
