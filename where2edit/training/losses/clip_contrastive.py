"""L_clip (Eq. 4): each edit must be nearer to its own prompt than to the other prompts of the same image.

Legend: n sources, m prompts of each in this process and M in all, D embedding width, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.bounds import Bounds, Weight
from where2edit.core.distributed import gather, rank
from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.cosine_calibration import CosineCalibration, calibration_file
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import Loss
from where2edit.training.losses.views import views_of

FEWEST_PROMPTS = 2  # with one prompt there is no other to tell it from: the loss is exactly zero
GUESSING = 0.97  # share of log(m), the loss of guessing among m prompts, above which a run has learnt nothing


@dataclass(frozen=True)
class ClipContrastiveOptions:
    """The `losses.clip_contrastive.options`."""

    temperature: Annotated[float, Bounds(1e-6, 1000)] = 0.01  # tau
    relative: bool = False  # cosines of the edit minus those of its source; False is Eq. 4 as the released code runs it
    direct: Weight = 0.0  # weight of the mean rise of the cosine to the edit's own prompt
    # Cosine above which the direct term rewards no further rise: photos that match reach no more.
    ceiling: Annotated[float, Bounds(-1, 1)] = 1.0
    # Rise above which none is rewarded, in standard deviations over unedited faces; 0: no limit.
    natural: Annotated[float, Bounds(0, 100, note="standard deviations, 0 for no limit")] = 0.0
    calibration: str | None = None  # file of scripts/calibrate.py with these faces, which `natural` needs
    views: Annotated[int, Bounds(0, 64)] = 0  # random views of each image (views.py); 0: the image as it is

    def __post_init__(self):
        if self.natural and self.calibration is None:
            raise ValueError(
                "losses.clip_contrastive.options.natural needs a calibration; "
                "give the file that scripts/calibrate.py wrote as losses.clip_contrastive.options.calibration"
            )


@LOSSES.register("clip_contrastive", options=ClipContrastiveOptions)
class ClipContrastive(Loss):
    """InfoNCE over the m prompts of one image, from image to prompt only, mean over edits; minus the direct term.

    The printed Eq. 4 repeats the matched pair in its denominator; the released code, and this, use the ordinary one:
    sum over i of exp(cos(h_edit^j, h^i) / tau). Prompts are gathered over processes, so that one process with m prompts
    equals two with m/2 each. With `natural` the cosine to the edit's own prompt counts up to a natural rise only, in
    both terms: an edit that is as much as a natural example is pushed no further. Raises ValueError for a single prompt
    and for a calibration that is not there.
    """

    fewest_prompts = FEWEST_PROMPTS
    with_fewer_prompts = "makes the contrastive loss exactly zero"

    def __init__(self, encoder: TextImage, options: ClipContrastiveOptions):
        self.encoder, self.options = encoder, options
        path = options.calibration
        self.calibration = None if path is None else CosineCalibration.read(calibration_file(path))

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        m, n = condition.per_source, len(source)
        prompts = gather(F.normalize(condition.h, dim=1).view(n, m, -1), dim=1)  # [n,M,D], M over all processes
        if prompts.shape[1] < FEWEST_PROMPTS:
            raise ValueError(
                "a batch of 1 prompt makes the contrastive loss exactly zero; use at least 2 prompts per image"
            )
        # Eq. 4: each edit against all prompts of its image.
        before, after = self._cosines(source.image, edit.image.unflatten(0, (n, m)), prompts)
        target = rank() * m + torch.arange(m, device=after.device).expand(n, m)
        own = target[..., None]  # [n,m,1]
        before = before.expand_as(after)
        if self.options.natural:
            limit = self.options.natural * self.calibration.spread(condition.h).view(n, m, 1)
            after = after.scatter(2, own, after.gather(2, own).minimum(before.gather(2, own) + limit))
        logits = after - before if self.options.relative else after
        loss = F.cross_entropy(logits.flatten(0, 1) / self.options.temperature, target.flatten())
        # The direct term: the rise of the cosine to the edit's own prompt.
        rise = after.gather(2, own).clamp_max(self.options.ceiling) - before.gather(2, own)
        return loss - self.options.direct * rise.mean()

    @classmethod
    def warnings(cls, figures: Mapping[str, float], prompts: int) -> list[str]:
        value = figures.get("losses.clip_contrastive", 0.0)
        if value <= GUESSING * math.log(prompts):
            return []
        return [f"the contrastive loss is {value:.2f}, that of guessing; raise the rate or the number of steps"]

    def _cosines(self, sources: Tensor, edits: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """sources [n,3,H,W], edits [n,m,3,H,W], prompts [n,M,D] -> cosines before [n,1,M] and after [n,m,M]."""
        images = torch.cat([sources[:, None], edits], dim=1)
        embedded = 0
        for view in views_of(images.flatten(0, 1), len(sources), self.options.views):
            embedded = embedded + F.normalize(self.encoder.image(view), dim=1)
        cosines = torch.einsum("nad,nid->nai", embedded.unflatten(0, images.shape[:2]), prompts)
        cosines = cosines / max(self.options.views, 1)
        return cosines[:, :1].detach(), cosines[:, 1:]
