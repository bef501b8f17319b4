"""Refine the inversion of one photo: latents near those of an encoder, then the canvas at the blend site.

Latents alone do not give a photo back: the generator has never drawn this face. An edit needs two things of a photo,
though: latents that the mapper and the attention read, and some canvas at the blend site into which it is blended. So
W+ is fitted first; then what is missing is added to the features at the blend site as a free residual. Latents that
stray from those of generated faces edit badly (Tov et al. 2021, arXiv 2102.02766): they are fitted in principal
coordinates, in which a generated face is a sample of N(0,1), with penalties on their length and on how far the codes of
the sites stray from each other. The tail keeps the styles of these latents: with codes of its own it fits the photo no
better, and then draws everything wrong that an edit writes.

Most steps look at small pictures, through preview heads, which cost a fraction of the whole tail.

Legend: L w codes, K principal coordinates, C channels, r blend resolution, R output resolution. Images are in [-1,1].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from where2edit.core.devices import resolve_dtype
from where2edit.core.records import Source
from where2edit.editing.blended_walk import Blended, blended_sites, finished, previewed, tail
from where2edit.editing.preview_head import Preview
from where2edit.editing.principal_directions import Basis
from where2edit.generators.base import Canvas, Generator
from where2edit.inversion.base import Inverted
from where2edit.inversion.likeness import Likeness
from where2edit.inversion.views import Views

BETAS = (0.9, 0.95)  # of Adam
CODE_RATE, OFFSET_RATE, RESIDUAL_RATE = 0.1, 0.02, 0.03  # learning rates at their highest
CODE_PENALTY, OFFSET_PENALTY, RESIDUAL_PENALTY = 0.03, 0.5, 0.001  # of mean squares
SHARED_ALONE = 0.2  # share of the steps for w in which only the code that all sites share is fitted
WHOLE = 0.3  # share of the steps for the canvas, the last ones, that look at the whole picture
SMALL = 0.5  # weight of the distance of the preview at the blend site, which natural strength reads


class Unknowns(nn.Module):
    """What is fitted: a code that all sites share, the offset of each, and the residual at the blend site."""

    def __init__(self, start: Tensor, residual: Tensor):
        """start: coordinates [1,L,K] of the latents; residual [1,C,r,r]."""
        super().__init__()
        self.code = nn.Parameter(start.mean(1, keepdim=True))
        self.offsets = nn.Parameter(start - self.code.detach())
        self.residual = nn.Parameter(residual.clone())

    def coordinates(self) -> Tensor:
        """[1,L,K]."""
        return self.code + self.offsets


class Refinement:
    """The fit of one photo: `step(n)` for n from 0 to `steps` - 1; its state is in `unknowns` and `optimizer`."""

    def __init__(
        self,
        generator: Generator,
        blend_site: str,
        basis: Basis,
        views: Views,
        likeness: Likeness,
        start: Inverted,
        steps: tuple[int, int],
        pace: float = 1.0,
    ):
        """start: where the fit begins; steps: for w, and for the canvas; pace: share of the learning rates."""
        site = generator.site(blend_site)
        self.generator, self.blend_site, self.basis, self.views = generator, blend_site, basis, views
        self.last = blended_sites(generator, blend_site)[-1].name
        self.likeness, self.w_steps, self.canvas_steps, self.pace = likeness, *steps, pace
        nothing = start.w.new_zeros(1, site.channels, site.resolution, site.resolution)
        self.unknowns = Unknowns(basis.coordinates(start.w), nothing if start.residual is None else start.residual)
        x = self.unknowns
        groups = [{"params": [each]} for each in (x.code, x.offsets, x.residual)]
        self.optimizer = torch.optim.Adam(groups, betas=BETAS)
        self._drawn: Source | None = None  # what the latents draw, once they are fitted
        device = start.w.device
        self._autocast = torch.autocast(
            device.type, torch.bfloat16, enabled=resolve_dtype("auto", device) == "bfloat16"
        )

    @property
    def steps(self) -> int:
        return self.w_steps + self.canvas_steps

    @property
    def w(self) -> Tensor:
        """The latents [1,L,512]."""
        return self.basis.w(self.unknowns.coordinates())

    def result(self) -> Inverted:
        """What has been fitted so far."""
        return Inverted(self.w.detach(), self.unknowns.residual.detach() if self.canvas_steps else None)

    def step(self, n: int) -> float:
        """One step of Adam; returns the distance to the photo before it."""
        return self._w_step(n) if n < self.w_steps else self._canvas_step(n - self.w_steps)

    def _w_step(self, n: int) -> float:
        x, done = self.unknowns, n / self.w_steps
        distance = self.likeness(self.picture(self.views.w))
        stray = CODE_PENALTY * x.code.square().mean() + OFFSET_PENALTY * x.offsets.square().mean()
        self._descend(distance + stray, done, (CODE_RATE, OFFSET_RATE if done >= SHARED_ALONE else 0.0, 0.0))
        return distance.item()

    def _canvas_step(self, n: int) -> float:
        x, done = self.unknowns, n / self.canvas_steps
        if self._drawn is None:
            x.code.requires_grad_(False)
            x.offsets.requires_grad_(False)
            self._drawn = self._draw()
        distance = self.likeness(self.picture(self.views.canvas if done < 1 - WHOLE else None, x.residual))
        stray = RESIDUAL_PENALTY * x.residual.square().mean()
        if self.views.blend_site is not None:
            stray = stray + SMALL * self.likeness(self.picture(self.views.blend_site, x.residual))
        self._descend(distance + stray, done, (0.0, 0.0, RESIDUAL_RATE))
        return distance.item()

    def picture(self, preview: Preview | None, residual: Tensor | None = None) -> Tensor:
        """What latents and residual show: the small picture of a preview head, or the whole one."""
        generator, site = self.generator, self.blend_site
        drawn = self._draw() if self._drawn is None else self._drawn
        features = drawn.features[site] if residual is None else drawn.features[site] + residual
        canvas = Canvas(features, next(reversed(drawn.rgb.values()), None))
        blended = tail(generator, drawn, Blended(canvas, site), upto=self.last)
        with self._autocast:
            shown = (
                finished(generator, drawn, blended)
                if preview is None
                else previewed(generator, drawn, blended, preview)
            )
        return shown.float()

    def _draw(self) -> Source:
        """What the latents draw up to the blend site."""
        return self.generator.source(self.w, upto=self.blend_site)

    def _descend(self, loss: Tensor, done: float, rates: tuple[float, ...]) -> None:
        """A step of Adam at these rates in the first half; in the second they fall in a line to a twentieth."""
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = self.pace * rate * min(1.0, 2 * (1 - done) + 0.05)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
