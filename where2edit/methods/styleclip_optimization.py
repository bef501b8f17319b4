"""styleclip-optimization: the codes of one face, optimised for one prompt (StyleCLIP, Section 4).

Patashnik, Wu, Shechtman, Cohen-Or and Lischinski 2021, arXiv 2103.17249.

With the codes w_s of a face, the encoder E, the prompt's embedding t, and ArcFace R, over W+:

    (S1)  w* = argmin_w  1 - cos(E(G(w)), t) + c_l2 ||w - w_s||^2 + c_id [1 - <R(G(w_s)), R(G(w))>]
    (S2)  w  = w_s + alpha (w* - w_s)

(S1) is the paper's Eqs. 1 and 2, (S2) is ours: the optimum has the strength alpha = 1. Nothing is learnt; each edit is
a run of its own.

Chosen here, where the paper says otherwise or nothing: the length of the change is squared, as its published program
has it (the printed equation is not squared), and summed over all codes; pictures are the preview head's where there is
one; few steps, each of which costs a laptop as much as an edit; and larger weights and a smaller rate than the paper's,
with which faces turned pink and yellow, since a small encoder is fooled more easily than CLIP.

Legend: B edits, L w codes of W numbers, C numbers of a style.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.backbones.arcface import ArcFace
from where2edit.core.bounds import Count, Rate, Weight
from where2edit.core.records import Condition, Source
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, MethodConfig
from where2edit.methods.instance_optimisation import InstanceOptimisation
from where2edit.text_image.base import TextImage


@dataclass(frozen=True)
class StyleClipOptimizationOptions:
    """Options of the method `styleclip-optimization`."""

    steps: Count = 20  # of Adam, for each face and prompt
    lr: Rate = 0.03
    l2: Weight = 0.02  # c_l2 of (S1)
    identity: Weight = 0.5  # c_id


@METHODS.register("styleclip-optimization", options=StyleClipOptimizationOptions)
class StyleClipOptimization(InstanceOptimisation):
    """Learns nothing; what an edit costs are its steps."""

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__(frozen, config)
        # In tuples: frozen networks are no submodules of what is trained.
        self._encoder: tuple[TextImage, ...] = ()
        self._identity: tuple[ArcFace, ...] = ()
        self._before: tuple[Source, Tensor] | None = None  # the source that is optimised, and R(G(w_s)) [1,512]

    def precompute(self, encoder: TextImage) -> None:
        """Get the networks that (S1) looks through: the encoder and, where it counts, ArcFace."""
        self._encoder = (encoder,)
        self._identity = (ArcFace.load().to(self.frozen.generator.w_mean.device),) if self.options.identity else ()

    def objective(self, source: Source, condition: Condition, added: Tensor) -> Tensor:
        """What (S1) minimises, of one edit: `added` is w - w_s [1,L,W]."""
        image = self.seen(source, added)
        (encoder,) = self._encoder
        total = 1 - F.cosine_similarity(encoder.image(image), condition.h).mean()
        for arcface in self._identity:
            same = (arcface(image) * self.identity_of(source, arcface)).sum()
            total = total + self.options.identity * (1 - same)
        return total + self.options.l2 * added.square().sum()

    @torch.no_grad()
    def identity_of(self, source: Source, arcface: ArcFace) -> Tensor:
        """R(G(w_s)) [1,512], computed once for all steps of an edit."""
        if self._before is None or self._before[0] is not source:
            image = self.seen_before(source)
            self._before = (source, arcface(image))
        return self._before[1]
