"""L_attn (Eq. 5): few regions with high attention, and every pixel's attention near the mean of its region.

Its two terms are two losses, `region_hinge` and `region_variance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from where2edit.core.bounds import Bounds, Weight
from where2edit.core.records import Condition, Edit, Source
from where2edit.ops.region_mean import region_averages
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import Loss

COLLAPSED = 0.005  # share of mask cells above 0 under which nothing is edited
EVERYWHERE = 0.98  # mean attention above which the whole image is edited


@dataclass(frozen=True)
class RegionHingeOptions:
    """The `losses.region_hinge.options`."""

    # The released code's hinge; 0 is the printed L1 norm, since attention is never negative.
    margin: Annotated[float, Bounds(-1, 1)] = 0.7
    area: Weight = 0.0  # extra price per region in proportion to its share of the image (ours)


@LOSSES.register("region_hinge", options=RegionHingeOptions)
class RegionHinge(Loss):
    """First term of Eq. 5: sum over regions of relu(mean attention - margin), mean over edits.

    Regions without pixels are left out. Raises ValueError for a method without attention or regions.
    """

    def __init__(self, encoder: TextImage, options: RegionHingeOptions):
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

    @classmethod
    def warnings(cls, figures: Mapping[str, float], prompts: int) -> list[str]:
        if "attention" not in figures:
            return []  # a method without one
        found = []
        if figures["mask"] < COLLAPSED:
            found.append("the attention has collapsed to 0: nothing is edited; lower the region_hinge weight")
        if figures["attention"] > EVERYWHERE:
            found.append("the attention is 1 everywhere: the whole image is edited; raise the region_hinge weight")
        return found


@dataclass(frozen=True)
class RegionVarianceOptions:
    """The `losses.region_variance.options`."""

    detach: bool = True  # the region mean is a constant target, as in the released code; False is Eq. 5 as printed


@LOSSES.register("region_variance", options=RegionVarianceOptions)
class RegionVariance(Loss):
    """Second term of Eq. 5: mean square of a - a-bar over edits and pixels.

    Raises ValueError for a method without an attention that is averaged over regions.
    """

    def __init__(self, encoder: TextImage, options: RegionVarianceOptions):
        self.options = options

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        needs_regions(edit, "region_variance")
        if edit.region_attention is None:
            raise ValueError(
                "region_variance needs an attention averaged over regions, which this method lacks; "
                "set losses.region_variance.weight=0"
            )
        target = edit.region_attention.detach() if self.options.detach else edit.region_attention
        return (edit.attention - target).square().mean()


def needs_regions(edit: Edit, name: str) -> None:
    """Raise ValueError unless the method that made `edit` has an attention and regions, which the loss `name` reads."""
    if edit.regions is None or edit.attention is None:
        raise ValueError(f"{name} needs an attention with regions, which this method lacks; set losses.{name}.weight=0")
