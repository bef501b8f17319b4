"""The text-conditioned mapping module (Eq. 1-2): styles of the source and an embedding -> styles of the edit.

Two spaces. `stylespace` is the paper and the released code. `w_principal` says the same in the generator's own
principal directions of W, so that every reachable edit stays near the faces that the generator knows and the length
of a shift is a Mahalanobis distance. There all sites share one shift, to which each adds a smaller one of its own:
sites that move on their own please the encoder with faces that dissolve, sites that move together stay photo-real.

Legend: B batch, D embedding width, S edited sites, K principal components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.core.records import Condition, Source
from where2edit.generators.base import Generator, Site
from where2edit.ops.layers import EqualLinear, text_branch


@dataclass(frozen=True)
class MapperConfig:
    """The `method.mapper` section."""

    space: Literal["stylespace", "w_principal"] = "stylespace"
    components: int = 96  # K, w_principal only
    hidden: int = 128  # width of the branches, w_principal only
    own: float = 0.25  # weight of each site's own shift beside the shared one, w_principal only
    aim: int = 0  # generated faces that aim the shared shift before training (aiming.py); 0: no aimed part. w_principal
    reach: float = 35.0  # length of the aimed part at strength 1, in standard deviations
    dyes: tuple[str, ...] = ()  # colours (dyeing.DYES) that are found before training; w_principal only
    samples: int = 50_000  # mapped z behind the principal directions
    seed: int = 0

    def __post_init__(self):
        for name in ("hidden", "samples"):
            if getattr(self, name) < 1:
                raise ValueError(f"method.mapper.{name} is {getattr(self, name)}; give at least 1")
        if not 0 <= self.own <= 1:
            raise ValueError(f"method.mapper.own is {self.own}; allowed: 0 (all sites move together) to 1")


def edited_sites(generator: Generator, blend_site: str) -> tuple[Site, ...]:
    """Sites that carry the edit: all up to the blend site and, where it is the last convolution, its RGB site."""
    site = generator.site(blend_site)
    same = [s for s in generator.sites if s.resolution == site.resolution]
    last_convolution = [s for s in same if not s.rgb][-1]
    return generator.upto(same[-1].name if site in (last_convolution, same[-1]) else blend_site)


class StyleSpaceMapper(nn.Module):
    """u_i = s_i + alpha (A2_i[A1_i(s_i), F_i(h)] - s_i) for each edited site (Eq. 2), no layer shared."""

    def __init__(self, generator: Generator, sites: tuple[Site, ...], text_dim: int, config: MapperConfig):
        super().__init__()
        self.sites = tuple(site.name for site in sites)
        self.text = nn.ModuleList(text_branch(text_dim, site.width) for site in sites)
        self.style = nn.ModuleList(EqualLinear(site.width, site.width, bias=1) for site in sites)
        self.fusion = nn.ModuleList(EqualLinear(2 * site.width, site.width, bias=1) for site in sites)

    def forward(self, source: Source, condition: Condition) -> tuple[dict[str, Tensor], Tensor]:
        """Returns u {site: [B,C]} for every site of the source, and the shift's length per edited site [B,S]."""
        u, lengths = dict(source.styles), []
        for name, text, style, fusion in zip(self.sites, self.text, self.style, self.fusion, strict=True):
            s = source.styles[name]
            target = fusion(torch.cat([style(s), text(condition.h)], dim=1))
            u[name] = s + condition.strength * (target - s)
            lengths.append((u[name] - s).norm(dim=1))
        return u, torch.stack(lengths, dim=1)


class ShiftBranch(nn.Module):
    """A_2[A_1(c), F(h)] of Eq. 2 in principal coordinates: c [B,K], h [B,D] -> shift [B,K] at strength 1."""

    START = 0.1  # share of the usual weights that the last layer starts with, so that shifts grow from almost nothing

    def __init__(self, text_dim: int, components: int, hidden: int):
        super().__init__()
        self.text = text_branch(text_dim, hidden)
        self.style = EqualLinear(components, hidden)
        self.fusion = EqualLinear(2 * hidden, components)
        with torch.no_grad():
            self.fusion.weight.mul_(self.START)

    def forward(self, c: Tensor, h: Tensor) -> Tensor:
        return self.fusion(torch.cat([self.style(c), self.text(h)], dim=1))


class PrincipalMapper(nn.Module):
    """The shift of each site in standardised principal coordinates c = V^T (w - mean) / sqrt(lambda) of W.

    shift_i = alpha (reach direction(h) + shared(c_i, h) + own_weight own_i(c_i, h)) for each edited site, where
    direction(h) = h axes / |h axes| is what aiming.py finds before training. Sites of DYED px and more add
    alpha (dye_i - bleach_i c_i) of the dyes that dyeing.py finds, each as far as h is close to the dye's words; they
    have no gradient and no length. Where the words say nothing but the dye's, it takes the place of all the rest:
    paint moves no lips and changes no eyes.
    """

    DYED = 32  # px: coarser sites hold shapes
    CLOSE = (0.35, 0.7)  # cosines of h and a dye's words from which on it shows, and shows in full
    ALONE = (0.7, 0.95)  # from which on it begins to take the place of the rest, and does

    def __init__(self, generator: Generator, sites: tuple[Site, ...], text_dim: int, config: MapperConfig):
        super().__init__()
        self.sites = tuple(site.name for site in sites)
        object.__setattr__(self, "_generator", generator)  # frozen and shared: not a submodule of what is trained
        directions, scales = principal_directions(generator, config)
        self.register_buffer("directions", directions)  # V [512,K]
        self.register_buffer("scales", scales)  # sqrt(lambda) [K]
        self.own_weight, self.reach = config.own, config.reach
        axes = torch.randn(text_dim, config.components)  # until aiming.py sets them
        self.axes = nn.Parameter(axes) if config.aim else None
        sizes = (text_dim, config.components, config.hidden)
        self.shared = ShiftBranch(*sizes)
        self.own = nn.ModuleList(ShiftBranch(*sizes) for _ in sites) if config.own else None
        self.dyed = tuple(site.name for site in sites if site.resolution >= self.DYED)
        self.dye_words = self.dyes = self.bleach = None
        if config.dyes:
            self.dye_words = nn.Parameter(torch.zeros(len(config.dyes), text_dim))
            self.dyes = nn.Parameter(torch.zeros(len(config.dyes), len(self.dyed), config.components))
            self.bleach = nn.Parameter(torch.zeros(len(config.dyes), len(self.dyed), 1))

    def coordinates(self, w: Tensor) -> Tensor:
        """w [B,512] -> c [B,K], about N(0,1) per component for the generator's own samples."""
        return (w - self._generator.w_mean) @ self.directions / self.scales

    def forward(self, source: Source, condition: Condition) -> tuple[dict[str, Tensor], Tensor]:
        """Returns u {site: [B,C]} and the Mahalanobis length of the shift per edited site [B,S]."""
        u, lengths = dict(source.styles), []
        aimed = 0.0 if self.axes is None else self.reach * F.normalize(condition.h @ self.axes, dim=1)
        dye, alone = self.dye(condition)
        for number, name in enumerate(self.sites):
            c = self.coordinates(self._w(source, name))
            shift = aimed + self.shared(c, condition.h)
            if self.own is not None:
                shift = shift + self.own_weight * self.own[number](c, condition.h)
            shift = condition.strength * (1 - alone) * shift
            colour, bleach = dye.get(name, (0.0, 0.0))
            u[name] = self.moved(source, name, shift + colour - bleach * c)
            lengths.append(shift.norm(dim=1))
        return u, torch.stack(lengths, dim=1)

    def moved(self, source: Source, name: str, shift: Tensor) -> Tensor:
        """The styles [B,C] of a site after a shift [B,K]."""
        site, w = self._generator.site(name), self._w(source, name)
        styles = self._generator.affine(site, w + (shift * self.scales) @ self.directions.T)
        return source.styles[name] + (styles - self._generator.affine(site, w))  # no shift: the source's to the bit

    def _w(self, source: Source, name: str) -> Tensor:
        """The w of a site [B,512]."""
        return source.w[:, self._generator.w_index(self._generator.site(name))]

    def dye(self, condition: Condition) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor]:
        """Of each dyed site the dye [B,K] and the bleach [B,1] at the condition's strength, and how far they stand
        alone [B,1].
        """
        if self.dyes is None:
            return {}, torch.zeros_like(condition.h[:, :1])
        words = F.normalize(self.dye_words.detach(), dim=1)
        cosines = F.normalize(condition.h, dim=1) @ words.T  # [B,P]
        close, alone = (_rise(cosines, *ends) for ends in (self.CLOSE, self.ALONE))
        square = close.square()  # the closest counts most: "purple lips" are close to red ones too
        amount = close.amax(1, keepdim=True) * square / square.sum(1, keepdim=True).clamp_min(1e-6)
        amount = condition.strength * amount
        dyes = {
            name: (amount @ self.dyes[:, n].detach(), amount @ self.bleach[:, n].detach())
            for n, name in enumerate(self.dyed)
        }
        return dyes, alone.amax(1, keepdim=True)


def _rise(x: Tensor, low: float, high: float) -> Tensor:
    """0 up to `low`, 1 from `high` on, a straight line between."""
    return ((x - low) / (high - low)).clamp(0, 1)


def principal_directions(generator: Generator, config: MapperConfig) -> tuple[Tensor, Tensor]:
    """The first K eigenvectors V [512,K] of the covariance of w, and the square roots of their eigenvalues [K]."""
    if not 1 <= config.components <= generator.w_dim:
        raise ValueError(f"method.mapper.components is {config.components}; allowed: 1 to {generator.w_dim}")
    random = torch.Generator().manual_seed(config.seed)
    total, count = torch.zeros(generator.w_dim, generator.w_dim, dtype=torch.float64), 0
    with torch.no_grad():
        while count < config.samples:
            z = torch.randn(min(5000, config.samples - count), generator.z_dim, generator=random)
            centred = (generator.mapping(z.to(generator.w_mean)) - generator.w_mean).double().cpu()
            total += centred.T @ centred
            count += len(z)
    values, vectors = torch.linalg.eigh(total / count)
    vectors = vectors.flip(1)[:, : config.components]
    signs = vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
    scales = values.flip(0)[: config.components].clamp_min(1e-12).sqrt()
    return (vectors * signs).to(generator.w_mean), scales.to(generator.w_mean)


SPACES = {"stylespace": StyleSpaceMapper, "w_principal": PrincipalMapper}
