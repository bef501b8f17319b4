"""HairCLIP's background loss (Wei et al. 2022): what shows no hair, before and after, should stay.

Legend: n sources, m edits of each, B = n*m, R output resolution, s pixels of the compared pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from where2edit.backbones.preprocess import resize
from where2edit.core.bounds import Bounds
from where2edit.core.records import Condition, Edit, Source
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import Loss


@dataclass(frozen=True)
class HairOptions:
    """Options of the losses that ask a face parser where hair is."""

    size: Annotated[int, Bounds(64, 1024)] = 256  # pixels at which faces are parsed, a multiple of 32


class ParsedHair:
    """Where the face parser (asset `face-parsing`) sees hair."""

    def __init__(self, size: int):
        from where2edit.backbones.face_parsing import FaceParser

        self.parser = FaceParser.load(size)

    def __call__(self, images: Tensor) -> Tensor:
        """Images [B,3,H,W] -> 1 where there is hair, else 0: [B,1,H,W], without gradients."""
        self.parser.to(images.device)
        return resize(self.parser.mask(images, "hair").to(images), images.shape[-1]).round()


@LOSSES.register("hair_background", options=HairOptions)
class HairBackground(Loss):
    """Squared difference of edit and source in pixels that are hair in neither, mean over all pixels and edits."""

    def __init__(self, encoder: TextImage, options: HairOptions):
        self.hair = ParsedHair(options.size)

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        before = source.image.repeat_interleave(condition.per_source, 0)
        own = self.hair(source.image).repeat_interleave(condition.per_source, 0)
        outside = (1 - own) * (1 - self.hair(edit.image.detach()))  # [B,1,s,s]
        return (outside * (edit.image - before).square()).mean()
