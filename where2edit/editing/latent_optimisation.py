"""Optimisation of one instance: the change of a face's codes that an objective asks for (StyleCLIP, TediGAN).

Each edit is optimised alone, from no change at all and without a random number, so that the answer does not depend on
what else stands in a batch; it is kept, since previews, sweeps and sheets ask for the same edit at other strengths.

Legend: B edits, L w codes of W numbers, R output resolution, s pixels of the preview head's picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from where2edit.core.records import Condition, Source
from where2edit.editing.blended_walk import edited_canvas
from where2edit.editing.latent_mapper import shifted_styles
from where2edit.editing.preview_head import Preview
from where2edit.files.fingerprints import tensor_sha256
from where2edit.generators.base import Generator

WARMUP, DECAY = 0.05, 0.25  # shares of the steps in which the rate grows, and falls along a cosine
MOST_KEPT = 256  # edits whose answers are kept

# The objective of one edit: its source and condition, and what is added to its codes [1,L,W] -> a scalar.
Objective: TypeAlias = Callable[[Source, Condition, Tensor], Tensor]


def rate_at(step: int, steps: int, lr: float) -> float:
    """The rate of a step: it climbs linearly, stays, and falls along a cosine (the ramp of StyleGAN2's projector)."""
    t = (step + 0.5) / steps
    falls = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / DECAY))
    return lr * falls * min(1.0, t / WARMUP)


class LatentOptimiser:
    """Minimises objectives over what is added to codes, by `steps` steps of Adam at the rate `lr`."""

    def __init__(self, steps: int, lr: float):
        self.steps, self.lr = steps, lr
        self._kept: dict[tuple[str, ...], Tensor] = {}

    def added(self, source: Source, condition: Condition, objective: Objective) -> Tensor:
        """What is added at strength 1 to the codes of each edit, [B,L,W]; source and condition have B rows each.

        It needs no gradient around it, and gives none.
        """
        answers = []
        for row in range(len(condition)):
            own, asked = source.take([row]), condition.take([row])
            styles = [own.styles[name] for name in sorted(own.styles)]
            key = tuple(tensor_sha256(x) for x in (own.w, asked.h, *styles))
            if key not in self._kept:
                while len(self._kept) >= MOST_KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[key] = self._optimised(own, asked, objective)
            answers.append(self._kept[key])
        return torch.cat(answers)

    def _optimised(self, source: Source, condition: Condition, objective: Objective) -> Tensor:
        """The answer for one edit, [1,L,W]."""
        added = torch.zeros_like(source.w, memory_format=torch.contiguous_format).requires_grad_(True)
        adam = torch.optim.Adam([added], lr=self.lr)
        for step in range(self.steps):
            adam.param_groups[0]["lr"] = rate_at(step, self.steps, self.lr)
            with torch.enable_grad():
                value = objective(source, condition, added)
            (added.grad,) = torch.autograd.grad(value, [added])
            adam.step()
        return added.detach()


def seen(generator: Generator, source: Source, added: Tensor, preview: Preview | None) -> Tensor:
    """The picture [B,3,s,s] of the source with `added` [B,L,W] on all its codes; without a preview head [B,3,R,R]."""
    delta = {code: added[:, code] for code in range(generator.num_w)}
    styles = shifted_styles(generator, source, delta, generator.sites)
    if preview is None:
        return generator.synthesis(styles)
    canvas = edited_canvas(generator, styles, len(added), preview.site)
    return preview.head(canvas.written(generator.site(preview.site)), styles)
