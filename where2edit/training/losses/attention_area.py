"""The area of the attention, which FEAT (Hou et al. 2022) and the ablation without clusters are trained to keep small.

Legend: B edits, r blend resolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from where2edit.core.bounds import Weight
from where2edit.core.records import Condition, Edit, Source
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import Loss

COLLAPSED = 0.005  # share of mask cells above 0 under which nothing is edited


@dataclass(frozen=True)
class AttentionAreaOptions:
    """The `losses.attention_area.options`."""

    smoothness: Weight = 1.0  # weight of the differences between neighbours; 0 leaves the area alone


@LOSSES.register("attention_area", options=AttentionAreaOptions)
class AttentionArea(Loss):
    """Mean attention plus smoothness times the root mean square differences of neighbours down and across.

    Means are over edits and pixels. Raises ValueError for a method without attention.
    """

    def __init__(self, encoder: TextImage, options: AttentionAreaOptions):
        self.options = options

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        a = needs_attention(edit, "attention_area")  # [B,1,r,r]
        down, across = a.diff(dim=2).square().mean(), a.diff(dim=3).square().mean()
        # The small number keeps the root's gradient finite where the attention is flat.
        return a.mean() + self.options.smoothness * ((down + 1e-12).sqrt() + (across + 1e-12).sqrt())

    @classmethod
    def warnings(cls, figures: Mapping[str, float], prompts: int) -> list[str]:
        if "losses.attention_area" not in figures or figures["mask"] >= COLLAPSED:
            return []
        return ["the attention has collapsed to 0: nothing is edited; lower the attention_area weight"]


def needs_attention(edit: Edit, name: str) -> Tensor:
    """The attention [B,1,r,r] of an edit. Raises ValueError where the method, which the loss `name` reads, has none."""
    if edit.attention is None:
        raise ValueError(f"{name} needs an attention, which this method lacks; set losses.{name}.weight=0")
    return edit.attention
