"""What each kind of convolution leaks: how far an edit changes pixels outside mask + halo of the blend site."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from where2edit.commands.benchmarks.settings import Setting, settings_of
from where2edit.core.records import Source
from where2edit.editing.certificate import allowed_region
from where2edit.generators.base import Canvas
from where2edit.generators.stylegan2 import StyleGAN2

BLEND_SITE = "64.conv1"
CELLS = 64  # cells of a mask to each side, as many as the blend site has
MASKS = 20  # random masks under which each setting is measured


@dataclass(frozen=True)
class Leak:
    """How edits changed what they must not reach: |difference| outside mask + halo of the blend site."""

    largest: float
    touched: float  # share of the pixels outside that differ at all
    inside: float  # the smallest, over the masks, of the largest change inside, to show that the edits did something

    @classmethod
    def of(cls, found: list[tuple[Tensor, float]]) -> Leak:
        """Of the differences of all pixels outside, and the largest one inside, under each of several masks."""
        outside = torch.cat([beyond for beyond, _ in found])
        touched = (outside > 0).float().mean().item() if len(outside) else 0.0
        return cls(outside.max().item() if len(outside) else 0.0, touched, min(inside for _, inside in found))


def leak_rows(generator: StyleGAN2, masks: int = MASKS) -> Iterator[tuple]:
    """Each setting: its name, largest difference outside, share of pixels that differ, change inside."""
    for name, setting in settings_of(generator.constant.device).items():
        leak = measure_leak(generator, setting, masks)
        yield name, f"{leak.largest:.2e}", f"{leak.touched:.2%}", f"{leak.inside:.2f}"


@torch.no_grad()
def measure_leak(generator: StyleGAN2, setting: Setting, masks: int = MASKS, **arithmetic: str) -> Leak:
    """The leak of one edit of one source under random masks, one seed per mask."""
    with setting.active(generator, **arithmetic) as generator:
        source, edited = (generator.source(generator.w(generator.sample_z([seed]))) for seed in (0, 1))
        found = []
        for seed in range(masks):
            mask = random_mask(seed).to(source.w.device)
            difference = (_blend(generator, source, edited, mask) - source.image).abs().float().amax(1, keepdim=True)
            reached = allowed_region(mask, generator.halo(BLEND_SITE), generator.resolution)
            found.append((difference[~reached], difference[reached].max().item()))
    return Leak.of(found)


def random_mask(seed: int, cells: int = CELLS) -> Tensor:
    """A random mask, bool [1,1,cells,cells]: some squares of an eighth of the side, and one lone cell."""
    coarse = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) < 0.1
    mask = coarse.repeat_interleave(cells // 8, 2).repeat_interleave(cells // 8, 3)
    mask[0, 0, seed % cells, 3 * seed % cells] = True
    return mask


def _blend(generator: StyleGAN2, source: Source, edited: Source, mask: Tensor) -> Tensor:
    """The image of `edited` blended into `source` under a 0/1 mask, features and RGB skip, with the source's tail."""
    site = generator.site("64.rgb")
    canvas = Canvas(torch.where(mask, edited.features[BLEND_SITE], source.features[BLEND_SITE]), edited.rgb["32.rgb"])
    canvas = generator.step(site, canvas, edited.styles[site.name])
    canvas = canvas.rewrite(site, torch.where(mask, canvas.rgb, source.rgb[site.name]))
    return generator.tail(canvas, source.styles, site.name)
