"""Skin light: where source and edit both show skin, the edit does not make it lighter. Ours, not the paper's.

Directions of the generator carry more than their words: with a smile comes a paler patch of skin, which no seam can
hide. What words put on skin (beards, glasses, brows, wrinkles) darkens it, so that only what becomes lighter is taken
back. With the lightness L of both canvases as the preview head shows them, in every cell

    wanted = min(0, blurred(w (L_source - L_edit)) / (blurred(w) + FLOOR)),    w = mask where both show skin,
    edit  += mask d wanted                                                     where the edit shows skin,

with d = cov(features, L) / var(L) over the source's own skin: how features differ between darker and lighter skin of
this very face. Skin of the source that is darker than most of it, by a standard deviation, may have a beard, which an
edit may take off, and does not count in w. Blurring leaves wrinkles, pores and highlights of the edit alone. It is done
STEPS times, since d is a straight line through a curve. Colours are not concerned: they act on later sites
(tail_layers.py).

Legend: B samples, C channels, r blend resolution, h x w cells of a window.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.devices import constant
from where2edit.editing.face_parts import part_ids
from where2edit.editing.mask_windows import bounding_window
from where2edit.editing.masks import BlendingConfig, blur_mask
from where2edit.editing.part_classifier import PartClassifier
from where2edit.editing.preview_head import PreviewHead
from where2edit.ops.colour import rgb_to_lab

SKIN = ("skin", "nose")
BLUR = BlendingConfig(blur=31, sigma=5.0)  # cells; a face is about 40 wide
FLOOR = 0.05  # of the share of skin around a cell: far from any, nothing is wanted
STEPS = 2  # after one, about two thirds of what is wanted is reached
SMALLEST_VARIANCE = 1.0  # of L over the source's skin, in squared Lab levels


class SkinLight(NamedTuple):
    """What sees lightness and skin at the blend site: its preview head, and a classifier of the parts of a face."""

    head: PreviewHead
    classifier: PartClassifier

    def kept(self, edited: Tensor, source: Tensor, mask: Tensor, styles: dict[str, Tensor]) -> Tensor:
        """edited and source canvases [B,C,r,r], mask M [B,1,r,r], styles {site: [B,.]} of the source after the blend
        site -> the edited canvas whose skin is no lighter than the source's. Nothing changes where M = 0."""
        seen = bounding_window(mask.gt(0).any(0)[0])
        if seen is None:
            return edited
        with torch.no_grad():
            parts = (edited, source, mask, self._skin(edited), self._skin(source))
            kept = edited.clone()
            seen.crop(kept).copy_(self._corrected(*map(seen.crop, parts), styles))
            change = kept - edited
        return edited + change

    def _corrected(
        self,
        edited: Tensor,
        source: Tensor,
        mask: Tensor,
        skin: Tensor,
        own_skin: Tensor,
        styles: dict[str, Tensor],
    ) -> Tensor:
        """`kept` of what a window shows, h x w cells; skin of the edit and of the source: [B,1,h,w] in {0,1}."""
        light = self._lightness(source, styles)
        mean, variance, direction = _light_of_skin(source, light, own_skin)
        weights = mask * skin * own_skin * (light > mean - variance.sqrt())
        near = _blurred(weights) + FLOOR
        for _ in range(STEPS):
            wanted = _blurred(weights * (light - self._lightness(edited, styles))) / near
            edited = edited + mask * skin * wanted.clamp_max(0) * direction
        return edited

    def _lightness(self, canvas: Tensor, styles: dict[str, Tensor]) -> Tensor:
        """L of CIE Lab in every cell of a canvas [B,C,h,w]: [B,1,h,w] from 0 to 100."""
        return rgb_to_lab(((self.head(canvas, styles) + 1) / 2).clamp(0, 1))[:, :1]

    def _skin(self, canvas: Tensor) -> Tensor:
        """1 in the cells of a canvas [B,C,r,r] that show skin, else 0: [B,1,r,r]."""
        parts = self.classifier(canvas)[:, None]
        columns = [i for part in SKIN for i in part_ids(part)]
        return torch.isin(parts, constant(columns, parts)).to(canvas)


def _light_of_skin(source: Tensor, light: Tensor, skin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Over the cells of skin: mean and variance of L, [B,1,1,1] each, and cov(features, L) / var(L), [B,C,1,1].

    The variance is at least SMALLEST_VARIANCE.
    """
    count = skin.sum((2, 3), keepdim=True).clamp_min(1)
    mean = (skin * light).sum((2, 3), keepdim=True) / count
    centred = skin * (light - mean)
    variance = (centred.square().sum((2, 3), keepdim=True) / count).clamp_min(SMALLEST_VARIANCE)
    covariance = torch.einsum("bchw,bhw->bc", source, centred[:, 0])[..., None, None] / count
    return mean, variance, covariance / variance


def _blurred(x: Tensor) -> Tensor:
    """x [B,1,h,w] after the Gaussian BLUR, with zeros around it."""
    around = BLUR.blur // 2
    return blur_mask(F.pad(x, (around,) * 4), BLUR)[..., around:-around, around:-around]
