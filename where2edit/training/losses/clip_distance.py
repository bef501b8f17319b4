"""The CLIP loss of methods that learn one prompt (StyleCLIP, FEAT): how far an edit is from its prompt.

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


@LOSSES.register("clip_distance", options=ClipDistanceOptions)
class ClipDistance(Loss):
    """1 - cos(E(x_edit), h), mean over edits and views; from 0 to 2."""

    def __init__(self, encoder: TextImage, options: ClipDistanceOptions):
        self.encoder, self.options = encoder, options

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        seen = [self.encoder.image(view) for view in views_of(edit.image, len(source), self.options.views)]
        return 1 - sum(F.cosine_similarity(each, condition.h).mean() for each in seen) / len(seen)
