"""L_map (Eq. 6): how far the styles of the edit are from those of the source."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from where2edit.core.records import Condition, Edit, Source
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import Loss


@dataclass(frozen=True)
class StyleDeltaOptions:
    """The `losses.style_delta.options`."""

    squared: bool = False  # True: sum over sites of the squared norm, Eq. 6 as printed; False: mean norm, as released


@LOSSES.register("style_delta", options=StyleDeltaOptions)
class StyleDelta(Loss):
    """Mean over edits and edited sites of the length of the shift, in the coordinates of the mapper.

    Euclidean for `stylespace`, Mahalanobis for `w_principal`.
    """

    def __init__(self, encoder: TextImage, options: StyleDeltaOptions):
        self.options = options

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        if self.options.squared:
            return edit.shift.square().sum(1).mean()
        return edit.shift.mean()
