"""LPIPS of an edit: over the whole image (how much changed), and outside the region (how much should not have)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from where2edit.backbones.preprocess import resize
from where2edit.metrics import METRICS
from where2edit.metrics.base import Case, Metric
from where2edit.metrics.fidelity import masked_mean

SIZE = 256


@METRICS.register("lpips")
class Lpips(Metric):
    higher_is_better = False
    needs = ("lpips",)
    protocol = f"mean LPIPS (VGG16, v0.1) of source and edited image at {SIZE} px"

    def measure(self, case: Case) -> Tensor:
        with torch.no_grad():
            return case.before.tools["lpips"](*(resize(view.images, SIZE) for view in (case.before, case.after)))


@METRICS.register("lpips_outside_region")
class LpipsOutsideRegion(Metric):
    """The map reaches past the edited pixels by the network's receptive field: a perfect edit scores above 0."""

    higher_is_better = False
    needs = ("lpips", "face_parsing")
    reads_regions = True
    protocol = f"mean LPIPS map (VGG16, v0.1) at {SIZE} px outside the parsed region that the prompt names"

    def measure(self, case: Case) -> Tensor:
        small = [resize(view.images, SIZE) for view in (case.before, case.after)]
        outside = F.interpolate(case.outside_region[:, None].float(), (SIZE, SIZE), mode="nearest")[:, 0] > 0
        with torch.no_grad():
            return masked_mean(case.before.tools["lpips"].map(*small), outside)
