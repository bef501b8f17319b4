"""CoralStyleCLIP's smoothness of masks: their total variation, squared (Revanur et al. 2023, Eq. 5).

Legend: B edits, h resolution of a layer.
"""

from __future__ import annotations

from torch import Tensor

from where2edit.core.records import Condition, Edit, Source
from where2edit.core.registry import NoOptions
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import Loss
from where2edit.training.losses.layer_area import layer_attention


@LOSSES.register("layer_variation")
class LayerVariation(Loss):
    """Sum over layers and neighbours of their squared differences, before the threshold; mean over edits.

    A method that blends once has one layer. Raises ValueError for a method without attention.
    """

    def __init__(self, encoder: TextImage, options: NoOptions):
        self.options = options

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        layers = layer_attention(edit, "layer_variation").values()
        return sum((a.diff(dim=2).square().sum() + a.diff(dim=3).square().sum()) / len(a) for a in layers)
