"""The CLIP loss of methods that learn one prompt (StyleCLIP, FEAT, CoralStyleCLIP): how far an edit is from it.

Legend: n sources, m edits of each, B = n*m, D embedding width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

from where2edit.core.bounds import Bounds
from where2edit.core.records import Condition, Edit, Source
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import Loss
from where2edit.training.losses.views import views_of


@dataclass(frozen=True)
class ClipDistanceOptions:
    """The `losses.clip_distance.options`."""

    views: Annotated[int, Bounds(0, 64)] = 0  # random views of each image (views.py); 0: the image as it is
    # True: the mean of this and of the same for the edit under masks of ones (CoralStyleCLIP's Eq. 2).
    unmasked: bool = False


@LOSSES.register("clip_distance", options=ClipDistanceOptions)
class ClipDistance(Loss):
    """1 - cos(E(x_edit), h), mean over edits and views; from 0 to 2.

    With `unmasked` it raises ValueError for a method that makes no picture under masks of ones.
    """

    def __init__(self, encoder: TextImage, options: ClipDistanceOptions):
        self.encoder, self.options = encoder, options

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        if not self.options.unmasked:
            return self._distance(edit.image, source, condition)
        if edit.unmasked_image is None:
            raise ValueError(
                "clip_distance.options.unmasked needs a picture under masks of ones, which this method lacks; set "
                "losses.clip_distance.options.unmasked=false"
            )
        distances = (self._distance(image, source, condition) for image in (edit.image, edit.unmasked_image))
        return sum(distances) / 2

    def _distance(self, image: Tensor, source: Source, condition: Condition) -> Tensor:
        """The distance of the images [B,3,H,W] of n sources' edits."""
        seen = [self.encoder.image(view) for view in views_of(image, len(source), self.options.views)]
        return 1 - sum(F.cosine_similarity(each, condition.h).mean() for each in seen) / len(seen)
