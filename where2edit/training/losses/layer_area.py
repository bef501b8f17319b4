"""CoralStyleCLIP's minimal edit-area constraint (Revanur et al. 2023, Eq. 3 and 4).

Legend: B edits, h resolution of a layer, P segments, N layers.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from where2edit.core.records import Condition, Edit, Source
from where2edit.core.registry import NoOptions
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.attention_area import COLLAPSED, needs_attention
from where2edit.training.losses.base import Loss


@LOSSES.register("layer_area")
class LayerArea(Loss):
    """How much is selected; mean over edits.

    Of segments the sum of the matrix e over segments and layers (Eq. 3); of attention networks the sum over layers of
    the sum over cells divided by h (Eq. 4), before the threshold. A method that blends once has one layer. Raises
    ValueError for a method without attention.
    """

    def __init__(self, encoder: TextImage, options: NoOptions):
        self.options = options

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        if edit.by_layer is not None and edit.by_layer.selection is not None:
            return edit.by_layer.selection.sum((1, 2)).mean()  # Eq. 3
        layers = layer_attention(edit, "layer_area")
        return sum(a.sum() / (len(a) * a.shape[-1]) for a in layers.values())  # Eq. 4

    @classmethod
    def warnings(cls, figures: Mapping[str, float], prompts: int) -> list[str]:
        if "losses.layer_area" not in figures or figures["mask"] >= COLLAPSED:
            return []
        return ["all masks have collapsed to 0: nothing is edited; lower the layer_area weight"]


def layer_attention(edit: Edit, name: str) -> dict[str, Tensor]:
    """The attention {layer: [B,1,h,h]} of an edit; of one that blends once {"": [B,1,r,r]}.

    Raises ValueError where the method, which the loss `name` reads, has none.
    """
    if edit.by_layer is not None:
        return edit.by_layer.attention
    return {"": needs_attention(edit, name)}
