"""Edits in w of one prompt: a latent mapper (StyleCLIP, FEAT, CoralStyleCLIP), a direction, and the styles they give.

Legend: B batch, L w codes, W numbers of each, C numbers of a style.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from where2edit.core.records import Source
from where2edit.generators.base import Generator, Site, w_plus_index
from where2edit.ops.layers import EqualLinear, pixel_norm, scaled_leaky_relu

GROUPS = (4, 8)  # StyleGAN2's codes from 0: coarse below 4, medium below 8, fine from there on


def code_group(site: Site) -> int:
    """The group of the code that belongs to a site: 0 coarse, 1 medium, 2 fine."""
    return sum(w_plus_index(site) >= first for first in GROUPS)


class LatentMapper(nn.Module):
    """scale M(w): one network for coarse, medium and fine codes each (Patashnik et al. 2021, 2103.17249, Section 5)."""

    def __init__(
        self,
        generator: Generator,
        sites: Iterable[Site],
        layers: int,
        lr_mul: float,
        scale: float,
        last_activation: bool = True,
    ):
        """sites: those whose codes are shifted; layers, lr_mul: fully-connected ones of a network, and their speed.

        last_activation: whether the last of them has a leaky ReLU too (StyleCLIP) or not (CoralStyleCLIP).
        """
        super().__init__()
        self.last_activation = last_activation
        groups = {generator.w_index(site): code_group(site) for site in sites}
        used, width = sorted(set(groups.values())), generator.w_dim
        self.group = {code: used.index(group) for code, group in groups.items()}  # code -> number of its network
        self.networks, self.scale = nn.ModuleList(), scale
        for _ in used:
            self.networks.append(nn.ModuleList(EqualLinear(width, width, lr_mul=lr_mul) for _ in range(layers)))

    def forward(self, w: Tensor) -> dict[int, Tensor]:
        """w [B,L,W] -> what is added at strength 1 to each code that `sites` read, {code: [B,W]}."""
        added = {}
        for code, group in self.group.items():
            x = pixel_norm(w[:, code])
            *before, last = self.networks[group]
            for layer in before:
                x = scaled_leaky_relu(layer(x))
            x = scaled_leaky_relu(last(x)) if self.last_activation else last(x)
            added[code] = self.scale * x
        return added


class GlobalDirection(nn.Module):
    """scale d: one direction for each code, the same for every face (CoralStyleCLIP)."""

    START = 0.1  # standard deviation of its numbers at first: at 0 no mask would have a gradient

    def __init__(self, generator: Generator, sites: Iterable[Site], scale: float):
        """sites: those whose codes are shifted."""
        super().__init__()
        self.codes, self.scale = tuple(dict.fromkeys(generator.w_index(site) for site in sites)), scale
        self.direction = nn.Parameter(self.START * torch.randn(len(self.codes), generator.w_dim))

    def forward(self, w: Tensor) -> dict[int, Tensor]:
        """w [B,L,W] -> what is added at strength 1 to each code, {code: [B,W]}."""
        rows = zip(self.codes, self.scale * self.direction, strict=True)
        return {code: row.expand(len(w), -1) for code, row in rows}


def shifted_styles(
    generator: Generator, source: Source, added: Mapping[int, Tensor], sites: Iterable[Site]
) -> dict[str, Tensor]:
    """The styles {site: [B,C]} of the source with `added` {code: [B,W]} on the w codes that `sites` read.

    Where nothing is added they are the source's, bit for bit, also those that an earlier edit gave it; they are affine
    in what is added. Sites of codes that `added` lacks stay as they are.
    """
    styles = dict(source.styles)
    for site in sites:
        code = generator.w_index(site)
        if code in added:
            w = source.w[:, code]  # [B,W]
            change = generator.affine(site, w + added[code]) - generator.affine(site, w)
            styles[site.name] = styles[site.name] + change
    return styles


def lengths(added: dict[int, Tensor]) -> Tensor:
    """Euclidean lengths [B,S] of what is added to S codes {code: [B,W]}."""
    return torch.stack([each.norm(dim=1) for each in added.values()], dim=1)
