"""Perceptual distance (LPIPS): of the whole image, and outside the region that the prompt names."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import LPIPS_SIZE, EditBatch
from where2edit.evaluation.metrics.fidelity import masked_mean


@METRICS.register("lpips")
class Lpips(Metric):
    higher_is_better = False
    needs = ("lpips",)
    protocol = f"mean LPIPS (VGG16, v0.1) of source and edited image at {LPIPS_SIZE} px"

    def measure(self, batch: EditBatch) -> Tensor:
        return batch.perceptual[0]


@METRICS.register("lpips_outside_region")
class LpipsOutsideRegion(Metric):
    """LPIPS outside the region that the prompt names.

    Its map also differs around the edited pixels, as far as the network's receptive field reaches, so that an edit that
    stays inside the region does not score 0.
    """

    higher_is_better = False
    needs = ("lpips", "face_parsing")
    reads_regions = True
    protocol = f"mean LPIPS map (VGG16, v0.1) at {LPIPS_SIZE} px outside the parsed region that the prompt names"

    def measure(self, batch: EditBatch) -> Tensor:
        size = (LPIPS_SIZE, LPIPS_SIZE)
        outside = F.interpolate(batch.outside_region[:, None].float(), size, mode="nearest")[:, 0] > 0
        return masked_mean(batch.perceptual[1][:, None], outside)
