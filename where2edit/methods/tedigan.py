"""tedigan: optimisation of one instance in W+ by text and picture, after TediGAN (Xia et al. 2021, 2012.03308).

TediGAN edits a face by the codes that minimise, for this face and these words, the distance of picture and text and the
distance of the picture from what it was. With the codes w of a face and the picture x = G(w), over D of L x 512 numbers

    (T1)  D* = argmin  c_clip [1 - cos(E(G(w + D)), h)] + c_lpips LPIPS(G(w + D), x) + c_pix mean (G(w + D) - x)^2
    (T2)  w* = w + alpha D*

The numbers are ours. Nothing is learnt: the steps of Adam are made when an edit is proposed, once for each face and
prompt, and the strength alpha scales what they found.

Chosen here, where TediGAN says otherwise or nothing: the text is compared in a joint space of text and image (its own
visual-linguistic space, trained on pairs, is not to be had; its later version takes CLIP), which is this profile's
encoder; faces start from their own codes, so that its inversion encoder and the penalty that keeps codes in that
encoder's domain fall away; pictures are the preview head's.

Legend: B edits, L w codes, C numbers of a style.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.backbones.vgg import LPIPS
from where2edit.core.bounds import Count, Rate, Weight
from where2edit.core.records import Condition, Source
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, MethodConfig
from where2edit.methods.instance_optimisation import InstanceOptimisation
from where2edit.text_image.base import TextImage


@dataclass(frozen=True)
class TediganOptions:
    """Options of the method `tedigan`."""

    steps: Count = 40  # of Adam, for each face and prompt
    lr: Rate = 0.05
    clip: Weight = 1.0  # c_clip of (T1)
    lpips: Weight = 0.4  # c_lpips
    pixels: Weight = 0.0  # c_pix, of pictures in [-1,1]


@METHODS.register("tedigan", options=TediganOptions)
class Tedigan(InstanceOptimisation):
    """Learns nothing; what an edit costs are its steps."""

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__(frozen, config)
        self._last: tuple[Source, Tensor, list[Tensor]] | None = None

    def precompute(self, encoder: TextImage) -> None:
        """Get the networks that the objective looks through: the encoder and, where it counts, LPIPS."""
        own = {"_encoder": encoder, "_lpips": LPIPS.load() if self.options.lpips else None}
        for name, network in own.items():
            object.__setattr__(self, name, network)  # frozen and shared: no submodule of what is trained

    def objective(self, source: Source, condition: Condition, added: Tensor) -> Tensor:
        """What (T1) minimises for one edit; `added` is D [1,L,512]."""
        picture = self.seen(source, added)
        before, looked = self._looked_at(source)
        total = self.options.clip * (1 - F.cosine_similarity(self._encoder.image(picture), condition.h).mean())
        if self._lpips is not None:
            distances = self._lpips.between(self._lpips.features(picture), looked)
            total = total + self.options.lpips * sum(each.mean() for each in distances)
        return total + self.options.pixels * F.mse_loss(picture, before)

    @torch.no_grad()
    def _looked_at(self, source: Source) -> tuple[Tensor, list[Tensor]]:
        """The picture x of a source and its LPIPS features, made in its first step and kept for the others."""
        if self._last is None or self._last[0] is not source:
            x = self.seen_before(source)
            self._last = source, x, [] if self._lpips is None else self._lpips.to(x.device).features(x)
        return self._last[1:]
