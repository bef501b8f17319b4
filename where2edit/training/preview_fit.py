"""Fits the preview head to the pictures that the generator's own tail makes.

In training the head reads canvases that an edit has blended, so that it is fitted on such canvases: two faces joined by
a random rectangle at the blend site.

Legend: N canvases, C channels of the preview site, r its resolution. Images are [N,3,r,r] in [-1,1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from where2edit.core.bounds import Bounds, Count, Few, Pixels, Rate, Seed
from where2edit.editing.preview_head import PreviewHead
from where2edit.generators.base import Canvas, Generator

LEAST_TRUNCATION = 0.5  # faces are drawn at truncations from this to 1
FARTHEST = 0.6  # share of the way from one face's w to another's that the second face of a canvas goes at most
HELD_OUT = 10  # one canvas of so many is kept out of the fit
LARGEST_GRADIENT = 0.1  # norm to which the gradient of a step is clipped


@dataclass(frozen=True)
class PreviewFitConfig:
    """The `preview_fit` section: the recipe of `scripts/train_preview.py`."""

    canvases: Annotated[int, Bounds(2, 100_000)] = 120  # full images behind the fit; the last tenth is held out
    steps: Count = 1500
    batch: Few = 4
    crop: Pixels = 48  # pixels of the preview site's resolution
    lr: Rate = 0.0005
    seed: Seed = 0


@torch.no_grad()
def mixed_canvas(
    generator: Generator, site: str, blend_site: str, random: torch.Generator
) -> tuple[Canvas, dict[str, Tensor]]:
    """A canvas [1,C,r,r] at `site` as edits make them, and the styles of its first face, which the tail uses.

    The second face is the first one moved towards a third; it fills a random rectangle of the features at `blend_site`,
    which must not stand after `site`.
    """
    z = torch.randn(2, generator.z_dim, generator=random).to(generator.w_mean)
    amount, truncation = torch.rand(2, generator=random).tolist()
    first, second = generator.w(z, LEAST_TRUNCATION + (1 - LEAST_TRUNCATION) * truncation).chunk(2)
    styles, other = generator.styles(first), generator.styles(torch.lerp(first, second, FARTHEST * amount))
    # Both faces up to the blend site.
    canvas, changed = generator.start(1), generator.start(1)
    trunk = generator.upto(blend_site)
    for s in trunk:
        canvas, changed = generator.step(s, canvas, styles[s.name]), generator.step(s, changed, other[s.name])
    # The rectangle: two corners between pixels, 0 to r each.
    corners = torch.randint(trunk[-1].resolution + 1, (2, 2), generator=random).sort(0).values
    (top, left), (bottom, right) = corners.tolist()
    features = canvas.features.clone()
    features[:, :, top:bottom, left:right] = changed.features[:, :, top:bottom, left:right]
    canvas = canvas.rewrite(trunk[-1], features)
    # On to the preview site.
    for s in generator.upto(site)[len(trunk) :]:
        canvas = generator.step(s, canvas, styles[s.name])
    return canvas, styles


@dataclass(frozen=True)
class Canvases:
    """What a head is fitted on: features [N,C,r,r] in bfloat16, styles {site: [N,.]}, targets [N,3,r,r]."""

    features: Tensor
    styles: dict[str, Tensor]
    targets: Tensor

    def crop(self, rows: Tensor, y: int, x: int, size: int) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Features, styles and targets of canvases `rows`, in a window of `size` pixels with its corner at (y, x)."""
        window = (slice(None), slice(None), slice(y, y + size), slice(x, x + size))
        styles = {name: value[rows] for name, value in self.styles.items()}
        return self.features[rows][window].float(), styles, self.targets[rows][window]


@torch.no_grad()
def collect(generator: Generator, site: str, blend_site: str, config: PreviewFitConfig) -> Canvases:
    """`config.canvases` mixed canvases at `site`, with the picture that the tail makes of each, shrunk to r pixels."""
    random, features, styles, targets = torch.Generator().manual_seed(config.seed), [], [], []
    for _ in tqdm(range(config.canvases), desc="preview canvases"):
        canvas, own = mixed_canvas(generator, site, blend_site, random)
        image = generator.tail(canvas, own, after=site).clamp(-1, 1)
        features.append(canvas.features.bfloat16())
        styles.append(own)
        targets.append(F.interpolate(image, size=canvas.features.shape[-2:], mode="area"))
    joined = {name: torch.cat([own[name] for own in styles]) for name in styles[0]}
    return Canvases(torch.cat(features), joined, torch.cat(targets))


def fit(head: PreviewHead, canvases: Canvases, config: PreviewFitConfig) -> float:
    """Fit the head on random crops of all but the last tenth of the canvases, and freeze it.

    Returns its PSNR in dB on that held-out tenth.
    """
    train_rows = len(canvases.targets) - max(1, len(canvases.targets) // HELD_OUT)
    torch.manual_seed(config.seed)
    optimizer = torch.optim.Adam(head.parameters(), lr=config.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=config.steps)
    progress = tqdm(range(config.steps), desc="preview head")
    for _ in progress:
        rows = torch.randint(train_rows, (config.batch,))
        y, x = torch.randint(canvases.targets.shape[-1] - config.crop + 1, (2,)).tolist()
        features, styles, targets = canvases.crop(rows, y, x, config.crop)
        loss = F.mse_loss(head(features, styles), targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(head.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        schedule.step()
        progress.set_postfix(psnr=f"{_decibel(loss.detach()):.1f} dB")
    head.eval().requires_grad_(False)
    return quality(head, canvases, range(train_rows, len(canvases.targets)))


@torch.no_grad()
def quality(head: PreviewHead, canvases: Canvases, rows: range) -> float:
    """PSNR of a head in dB over the whole canvases `rows`, for images in [-1,1]."""
    errors = []
    for row in rows:
        features, styles, targets = canvases.crop(torch.tensor([row]), 0, 0, canvases.targets.shape[-1])
        errors.append(F.mse_loss(head(features, styles).clamp(-1, 1), targets))
    return _decibel(torch.stack(errors).mean())


def _decibel(mse: Tensor) -> float:
    """PSNR of images in [-1,1], whose peak is 2, from their mean square error."""
    return 10 * math.log10(2**2 / mse.item())
