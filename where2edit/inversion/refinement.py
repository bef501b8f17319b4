"""Refine the inversion of one photo: latents near those of an encoder, then the canvas at the blend site.

Latents alone do not give a photo back: the generator has never drawn this face. An edit needs two things of a photo,
though: latents that the mapper and the attention read, and some canvas at the blend site into which it is blended. So
W+ is fitted first; then what is missing is added to the features at the blend site as a free residual, while the codes
of the tail go on. Latents that stray from those of generated faces edit badly (Tov et al. 2021, arXiv 2102.02766):
they are fitted in principal coordinates, in which a generated face is a sample of N(0,1), with penalties on their
length and on how far the codes of the sites stray from each other.

Most steps look at small pictures, through preview heads, which cost a fraction of the whole tail.

Legend: L w codes, K principal coordinates, C channels, r blend resolution, R output resolution. Images are in [-1,1].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from where2edit.core.records import Source
from where2edit.editing.blended_walk import blended_sites, finished, previewed, unedited
from where2edit.editing.preview_head import Preview
from where2edit.generators.base import CONSTANT, Generator
from where2edit.inversion.likeness import Likeness

BETAS = (0.9, 0.95)  # of Adam
CODE_RATE, OFFSET_RATE, RESIDUAL_RATE, TAIL_RATE = 0.1, 0.03, 0.05, float(__import__("os").environ.get("TR","0.0"))  # learning rates
CODE_PENALTY, OFFSET_PENALTY, RESIDUAL_PENALTY = 0.0005, 0.02, float(__import__("os").environ.get("RP","0.001"))  # of mean squares
SHARED_ALONE = 0.3  # share of the steps for W+ in which only the code that all sites share is fitted
WHOLE = 0.25  # share of the steps for the canvas that look at the whole picture


@dataclass(frozen=True)
class Basis:
    """Principal coordinates of W: w = mean + x @ to_w."""

    mean: Tensor  # [512]
    directions: Tensor  # [512,K], orthonormal
    scales: Tensor  # [K]

    def coordinates(self, w: Tensor) -> Tensor:
        """w [...,512] -> [...,K]."""
        return (w - self.mean) @ self.directions / self.scales

    def w(self, x: Tensor) -> Tensor:
        """Coordinates [...,K] -> w [...,512]."""
        return self.mean + (x * self.scales) @ self.directions.T


class Unknowns(nn.Module):
    """What is fitted: a code that all sites share, the offset of each, and the residual at the blend site."""

    def __init__(self, generator: Generator, blend_site: str, start: Tensor):
        """start: coordinates [1,L,K] of the encoder's answer."""
        super().__init__()
        site = generator.site(blend_site)
        self.code = nn.Parameter(start.mean(1, keepdim=True))
        self.offsets = nn.Parameter(start - self.code.detach())
        self.residual = nn.Parameter(start.new_zeros(1, site.channels, site.resolution, site.resolution))
        trunk = {generator.w_index(s) for s in generator.upto(blended_sites(generator, blend_site)[-1].name)}
        late = torch.tensor([i not in trunk for i in range(generator.num_w)])
        self.register_buffer("tail", late[None, :, None].to(start.device), persistent=False)

    @property
    def coordinates(self) -> Tensor:
        """[1,L,K]."""
        return self.code + self.offsets


class Refinement:
    """The fit of one photo: `latents()` then `canvas()`, both of which yield the distance after each step."""

    def __init__(
        self,
        generator: Generator,
        blend_site: str,
        basis: Basis,
        likeness: Likeness,
        previews: Sequence[Preview],
        start: Tensor,
    ):
        """previews: heads at and after the blend site, smallest picture first; start: w [1,L,512]."""
        self.generator, self.blend_site, self.basis, self.likeness = generator, blend_site, basis, likeness
        self.previews = previews
        self.unknowns = Unknowns(generator, blend_site, basis.coordinates(start))
        self.start = self.unknowns.coordinates.detach().clone()
        self._features: Tensor | None = None

    @property
    def w(self) -> Tensor:
        return self.basis.w(self.unknowns.coordinates)

    def picture(self, preview: Preview | None, residual: bool) -> Tensor:
        """What the unknowns show: by a preview head, or the whole image."""
        generator, site, w = self.generator, self.blend_site, self.w
        added = {site: self.unknowns.residual} if residual else {}
        last = blended_sites(generator, site)[-1].name
        source = generator.source(w, upto=last, residual=added)
        blended = unedited(generator, source, site)
        return finished(generator, source, blended) if preview is None else previewed(generator, source, blended, preview)

    def latents(self, steps: int, preview: Preview) -> Iterator[float]:
        x = self.unknowns
        optimizer = torch.optim.Adam([{"params": [x.code]}, {"params": [x.offsets]}], betas=BETAS)
        for step in range(steps):
            done = step / steps
            rates(optimizer, (CODE_RATE, OFFSET_RATE if done >= SHARED_ALONE else 0.0), done)
            distance = self.likeness(self.picture(preview, residual=False))
            stray = CODE_PENALTY * x.code.square().mean() + OFFSET_PENALTY * x.offsets.square().mean()
            optimizer.zero_grad()
            (distance + stray).backward()
            optimizer.step()
            yield distance.item()

    def canvas(self, plan: Sequence[tuple[int, Preview | None]]) -> Iterator[float]:
        x = self.unknowns
        optimizer = torch.optim.Adam([{"params": [x.residual]}, {"params": [x.offsets]}], betas=BETAS)
        fitted = x.offsets.detach().clone()
        total, step = sum(n for n, _ in plan), 0
        for count, preview in plan:
            for _ in range(count):
                rates(optimizer, (RESIDUAL_RATE, TAIL_RATE), step / total)
                distance = self.likeness(self.picture(preview, residual=True))
                stray = RESIDUAL_PENALTY * x.residual.square().mean() + OFFSET_PENALTY * (x.offsets - fitted).square().mean()
                optimizer.zero_grad()
                (distance + stray).backward()
                assert x.offsets.grad is not None
                x.offsets.grad.mul_(x.tail)
                optimizer.step()
                step += 1
                yield distance.item()


def rates(optimizer: torch.optim.Optimizer, highest: Sequence[float], done: float) -> None:
    """Set the learning rate of each group: the highest in the first half, then falling in a line to a twentieth."""
    for group, rate in zip(optimizer.param_groups, highest, strict=True):
        group["lr"] = rate * min(1.0, 2 * (1 - done) + 0.05)
