"""FEAT's attention regulariser (Hou et al. 2022), which the ablation without clusters is trained with.

Legend: B edits, r blend resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from where2edit.core.bounds import Weight
from where2edit.core.records import Condition, Edit, Source
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import Loss


@dataclass(frozen=True)
class AttentionAreaOptions:
    """The `losses.attention_area.options`."""

    smoothness: Weight = 1.0  # weight of the differences between neighbours; 0 leaves the area alone


@LOSSES.register("attention_area", options=AttentionAreaOptions)
class AttentionArea(Loss):
    """Mean attention plus smoothness times the root mean square differences of neighbours down and across.

    Means are over edits and pixels.
    """

    def __init__(self, encoder: TextImage, options: AttentionAreaOptions):
        self.options = options

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        a = edit.attention  # [B,1,r,r]
        down, across = a.diff(dim=2).square().mean(), a.diff(dim=3).square().mean()
        # The small number keeps the root's gradient finite where the attention is flat.
        return a.mean() + self.options.smoothness * ((down + 1e-12).sqrt() + (across + 1e-12).sqrt())
