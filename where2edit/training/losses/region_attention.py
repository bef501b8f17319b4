"""L_attn (Eq. 5): few regions on, and every pixel's attention near the mean of its region."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from where2edit.core.records import Condition, Edit, Source
from where2edit.ops.region_mean import region_averages
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES


@dataclass(frozen=True)
class HingeOptions:
    margin: float = 0.7  # the released code's hinge; 0 is the printed L1 norm, since attention is never negative
    area: float = 0.0  # extra price per region in proportion to its share of the image (ours)


@LOSSES.register("region_hinge")
class RegionHinge:
    """First term of Eq. 5: sum over regions of relu(mean attention - margin), mean over edits; empty ones left out."""

    Options = HingeOptions

    def __init__(self, encoder: TextImage, options: HingeOptions):
        self.options = options

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        needs_regions(edit, "region_hinge")
        means, valid = region_averages(edit.attention, edit.regions, edit.num_regions)
        excess = (means - self.options.margin).relu() * valid
        if self.options.area:
            labels = edit.regions.flatten(1)
            counts = torch.zeros_like(means).scatter_add(1, labels, torch.ones_like(labels, dtype=means.dtype))
            share = counts / labels.shape[1]
            excess = excess * (1 + self.options.area * edit.num_regions * share)
        return excess.sum(1).mean()


@dataclass(frozen=True)
class VarianceOptions:
    detach: bool = True  # the region mean is a constant target, as in the released code; False is Eq. 5 as printed


@LOSSES.register("region_variance")
class RegionVariance:
    """Second term of Eq. 5: mean square of a - a-bar over edits and pixels."""

    Options = VarianceOptions

    def __init__(self, encoder: TextImage, options: VarianceOptions):
        self.options = options

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        needs_regions(edit, "region_variance")
        target = edit.region_attention.detach() if self.options.detach else edit.region_attention
        return (edit.attention - target).square().mean()


def needs_regions(edit: Edit, name: str) -> None:
    if edit.regions is None or edit.attention is None:
        raise ValueError(f"{name} needs an attention with regions, which this method lacks; set losses.{name}.weight=0")
