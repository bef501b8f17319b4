"""The mapping module in the principal components of W: the default on a CPU. Ours, not the paper's.

It is Eq. 1-2 in the generator's own coordinates: a shift is measured in standard deviations of the generator's faces,
so that edits stay near them. All sites share one shift, to which each adds a smaller one of its own: sites that are
shifted independently raise the encoder's score with faces that fall apart.

Legend: B batch, L w codes, C numbers in the style of a site, D embedding width, S edited sites, K principal components,
W numbers of w.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.core.bounds import Bounds, CountOrNone, Seed
from where2edit.core.records import Condition, Source, TailLayer
from where2edit.editing.mappers import MAPPERS
from where2edit.editing.mappers.base import Mapper
from where2edit.editing.mappers.colour_shifts import ColourShifts
from where2edit.editing.principal_directions import principal_directions
from where2edit.generators.base import Generator, Site
from where2edit.ops.layers import EqualLinear, text_branch


@dataclass(frozen=True)
class PrincipalOptions:
    """Options of the mapper `w_principal`."""

    components: Annotated[int, Bounds(1, 512)] = 96  # K
    hidden: Annotated[int, Bounds(1, 4096)] = 128  # width of the branches
    # Weight of each site's own shift beside the shared one; 0: all sites move together.
    per_site_weight: Annotated[float, Bounds(0, 1, note="0: all sites move together")] = 0.25
    # Faces behind the semantic directions (training/semantic_directions.py); 0: without them.
    direction_faces: CountOrNone = 0
    # Of the shift along the semantic direction at strength 1, in standard deviations.
    direction_length: Annotated[float, Bounds(0, 1000)] = 35.0
    colours: tuple[str, ...] = ()  # colours of training/colour_fitting.py that are fitted before training
    samples: Annotated[int, Bounds(1, 10_000_000)] = 50_000  # mapped z behind the principal directions
    seed: Seed = 0  # of these z


class ShiftBranch(nn.Module):
    """A2[A1(c), F(h)] of Eq. 2 in principal coordinates: c [B,K], h [B,D] -> shift [B,K] at strength 1."""

    START = 0.1  # factor on the initial weights of the last layer, so that shifts grow from almost nothing

    def __init__(self, text_dim: int, components: int, hidden: int):
        super().__init__()
        self.text = text_branch(text_dim, hidden)
        self.style = EqualLinear(components, hidden)
        self.fusion = EqualLinear(2 * hidden, components)
        with torch.no_grad():
            self.fusion.weight.mul_(self.START)

    def forward(self, c: Tensor, h: Tensor) -> Tensor:
        return self.fusion(torch.cat([self.style(c), self.text(h)], dim=1))


@MAPPERS.register("w_principal", options=PrincipalOptions)
class PrincipalMapper(Mapper):
    """u_i = A_i(w_i + V (sqrt(lambda) shift_i)), with the generator's own affine A_i of site i, and in the coordinates
    c_i = V^T (w_i - mean) / sqrt(lambda) of W

        shift_i = alpha (1 - alone) (length direction(h) + shared(c_i, h) + weight per_site_i(c_i, h)).

    direction(h) = h A / |h A| with the semantic directions A [D,K] that are regressed before training; `length` and
    `weight` are the options direction_length and per_site_weight. `alone` is 1 where the prompt names a colour and
    nothing else, so that "red lipstick" changes no shapes. Colours act after the blend site only (colour_shifts.py,
    which multiplies by alpha): there

        shift_i = colour_i(h) - shrinkage_i(h) c_i.

    The lengths that `forward` returns are norms of the first shift (Mahalanobis lengths in W); colours are not counted.
    """

    def __init__(self, generator: Generator, sites: tuple[Site, ...], text_dim: int, options: PrincipalOptions):
        super().__init__()
        self.options = options
        self.sites = tuple(site.name for site in sites)
        object.__setattr__(self, "_generator", generator)  # frozen and shared: not a submodule of what is trained
        directions, scales = principal_directions(generator, options.components, options.samples, options.seed)
        self.register_buffer("directions", directions)  # V [W,K]
        self.register_buffer("scales", scales)  # sqrt(lambda) [K]
        drawn = torch.randn(text_dim, options.components)  # random until they are regressed
        self.semantic_directions = nn.Parameter(drawn) if options.direction_faces else None  # A [D,K]
        sizes = (text_dim, options.components, options.hidden)
        self.shared = ShiftBranch(*sizes)
        self.per_site = nn.ModuleList(ShiftBranch(*sizes) for _ in sites) if options.per_site_weight else None
        later = tuple(site.name for site in generator.after(sites[-1].name))
        count = len(options.colours)
        self.colours = ColourShifts(count, text_dim, later, options.components) if count else None

    def forward(self, source: Source, condition: Condition) -> tuple[dict[str, Tensor], Tensor]:
        """Source and condition of length B -> u {site: [B,C]} for every site, and Mahalanobis lengths [B,S]."""
        h, u, lengths = condition.h, dict(source.styles), []
        along = self.along_direction(h)
        fading = 1.0 if self.colours is None else self.colours.fading(condition)  # [B,1]
        for number, name in enumerate(self.sites):
            # The shared shift and the site's own, in principal coordinates.
            c = self.coordinates(self._w(source, name))  # [B,K]
            shift = along + self.shared(c, h)
            if self.per_site is not None:
                shift = shift + self.options.per_site_weight * self.per_site[number](c, h)
            shift = condition.strength * fading * shift
            lengths.append(shift.norm(dim=1))
            u[name] = self.shifted(source, name, shift)
        return u, torch.stack(lengths, dim=1)

    def tail(self, source: Source, condition: Condition, cells: Tensor | None) -> TailLayer | None:
        """The colours that the prompts name, in the parts of the face that have them; None where no prompt names one.

        An edit that is reversed has none: the opposite of a colour is not its absence, but another colour.

        With another prompt for the attention (two-prompt editing) they fill the whole mask.
        """
        if self.colours is None or not (self.colours.weights(condition.h) * (condition.strengths >= 0)).any():
            return None
        styles = {}
        for name, (towards, shrinkage) in self.colours(condition).items():
            shift = towards - shrinkage * self.coordinates(self._w(source, name))
            styles[name] = self.shifted(source, name, shift)
        if cells is None or not torch.equal(condition.h, condition.h_attention):
            return TailLayer(styles, source.w.new_ones(len(source), 1, 1, 1))
        return TailLayer(styles, self.colours.share(condition.h, cells))

    def along_direction(self, h: Tensor) -> Tensor | float:
        """The shift [B,K] along the semantic direction of h [B,D] at strength 1; 0 without semantic directions."""
        if self.semantic_directions is None:
            return 0.0
        return self.options.direction_length * F.normalize(h @ self.semantic_directions, dim=1)

    def coordinates(self, w: Tensor) -> Tensor:
        """w [B,W] -> c [B,K], about N(0,1) per component for the generator's own samples."""
        return (w - self._generator.w_mean) @ self.directions / self.scales

    def shifted(self, source: Source, name: str, shift: Tensor) -> Tensor:
        """The style [B,C] of a site after a shift [B,K]; without a shift it is the source's own, bit for bit."""
        site, w = self._generator.site(name), self._w(source, name)
        styles = self._generator.affine(site, w + (shift * self.scales) @ self.directions.T)
        return source.styles[name] + (styles - self._generator.affine(site, w))

    def _w(self, source: Source, name: str) -> Tensor:
        """The w code that feeds a site: [B,L,W] -> [B,W]."""
        return source.w[:, self._generator.w_index(self._generator.site(name))]
