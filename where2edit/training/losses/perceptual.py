"""L_perc (Eq. 7), which keeps the local structure of the source in the edit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.bounds import Pixels
from where2edit.core.records import Condition, Edit, Source
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import Loss


@dataclass(frozen=True)
class PerceptualOptions:
    """The `losses.perceptual.options`."""

    size: Pixels = 224  # pixels to which images are reduced before VGG reads them
    normalise: bool = False  # ImageNet normalisation; the released code leaves it out


@LOSSES.register("perceptual", options=PerceptualOptions)
class Perceptual(Loss):
    """Mean square difference of VGG16's relu2_2 between edit and source."""

    def __init__(self, encoder: TextImage, options: PerceptualOptions):
        from where2edit.backbones.vgg import PerceptualFeatures

        self.features = PerceptualFeatures.load(size=options.size, normalise=options.normalise)

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        self.features.to(edit.image.device)
        with torch.no_grad():
            before = self.features(source.image)
        return F.mse_loss(self.features(edit.image), before.repeat_interleave(condition.per_source, 0))
