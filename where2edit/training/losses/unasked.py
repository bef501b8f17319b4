"""A loss on what the prompt does not name: the image's cosines with unrelated prompts, the anchors, should not change.

Ours, not the paper's. An encoder that was trained on photos associates lipstick with women and grey hair with age; an
editor that is trained with it changes sex and age along with the lipstick. The anchors name such attributes. An anchor
whose embedding is close to the prompt's, or to its negative, belongs to what was asked for and does not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.bounds import PositiveShare
from where2edit.core.records import Condition, Edit, Source
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import Loss


@dataclass(frozen=True)
class UnaskedOptions:
    """The `losses.unasked.options`."""

    anchors: tuple[str, ...] = (
        "a man",
        "a woman",
        "a young person",
        "an old person",
        "a smiling person",
        "a chubby face",
    )
    exempt: PositiveShare = 0.3  # |cosine| between prompt and anchor at which the anchor no longer counts


@LOSSES.register("unasked", options=UnaskedOptions)
class Unasked(Loss):
    """Mean square change of the cosine to each anchor, weighted by relu(1 - |cos(prompt, anchor)| / exempt)."""

    def __init__(self, encoder: TextImage, options: UnaskedOptions):
        self.encoder, self.options = encoder, options
        with torch.no_grad():
            self.anchors = F.normalize(encoder.text(list(options.anchors)), dim=1)

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        anchors = self.anchors.to(condition.h)
        with torch.no_grad():
            before = F.normalize(self.encoder.image(source.image), dim=1) @ anchors.T
            related = (F.normalize(condition.h, dim=1) @ anchors.T).abs() / self.options.exempt
        after = F.normalize(self.encoder.image(edit.image), dim=1) @ anchors.T
        change = after - before.repeat_interleave(condition.per_source, 0)
        return ((1 - related).relu() * change.square()).mean()
