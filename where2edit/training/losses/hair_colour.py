"""HairCLIP's maintenance of hair (Wei et al. 2022): where no other colour is asked for, hair keeps its colour.

Legend: n sources, m edits of each, B = n*m.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.hair_words import names_hair_colour
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import Loss
from where2edit.training.losses.hair_background import HairOptions, ParsedHair


@LOSSES.register("hair_colour", options=HairOptions)
class HairColour(Loss):
    """|mean colour of hair in the edit - the same in the source|, summed over red, green and blue; mean over edits.

    Edits whose prompt names another colour of hair count 0, and so do those without hair before or after.
    """

    def __init__(self, encoder: TextImage, options: HairOptions):
        self.hair = ParsedHair(options.size)

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        before, had = mean_colour(source.image, self.hair(source.image))
        after, has = mean_colour(edit.image, self.hair(edit.image.detach()))
        before, had = (x.repeat_interleave(condition.per_source, 0) for x in (before, had))
        kept = torch.tensor([not names_hair_colour(prompt) for prompt in condition.prompts]).to(after)
        return (kept * had * has * (after - before).abs().sum(1)).mean()


def mean_colour(images: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    """The mean colour [B,3] of images [B,3,s,s] where a mask [B,1,s,s] is 1, and whether it is 1 anywhere [B]."""
    pixels = where.sum((2, 3))  # [B,1]
    return (images * where).sum((2, 3)) / pixels.clamp_min(1), (pixels[:, 0] > 0).to(images)
