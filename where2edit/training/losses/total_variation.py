"""FEAT's smoothness of the attention (Hou et al. 2022): its total variation.

Legend: B edits, r blend resolution.
"""

from __future__ import annotations

from torch import Tensor

from where2edit.core.records import Condition, Edit, Source
from where2edit.core.registry import NoOptions
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.attention_area import needs_attention
from where2edit.training.losses.base import Loss


@LOSSES.register("total_variation")
class TotalVariation(Loss):
    """Sum of |a - a'| over neighbours down and across, divided by the r*r cells; mean over edits.

    Raises ValueError for a method without attention.
    """

    def __init__(self, encoder: TextImage, options: NoOptions):
        self.options = options

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        a = needs_attention(edit, "total_variation")  # [B,1,r,r]
        down, across = a.diff(dim=2).abs().sum(), a.diff(dim=3).abs().sum()
        return (down + across) / a.numel()
