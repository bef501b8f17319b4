"""The identity loss (StyleCLIP, FEAT, CoralStyleCLIP): the edit should show the same person, as ArcFace sees it."""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.core.records import Condition, Edit, Source
from where2edit.core.registry import NoOptions
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import Loss


@LOSSES.register("identity")
class IdentityDistance(Loss):
    """1 - cosine of the identity embeddings of edit and source, mean over edits; from 0 to 2.

    Weights: the asset `arcface-mbf` (non-commercial research only).
    """

    def __init__(self, encoder: TextImage, options: NoOptions):
        from where2edit.backbones.arcface import ArcFace

        self.arcface = ArcFace.load()

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        self.arcface.to(edit.image.device)
        with torch.no_grad():
            before = self.arcface(source.image).repeat_interleave(condition.per_source, 0)  # [B,512], unit length
        return 1 - (self.arcface(edit.image) * before).sum(1).mean()
