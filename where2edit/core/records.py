"""The records that flow between the parts: Source and Condition in, Edit out (docs/architecture.md).

Legend: B batch, L number of w codes, W numbers of each, C channels of a site, h x w its resolution, D embedding width,
S edited sites, R output resolution, r blend resolution.
Images are NCHW float in [-1,1]; masks and attention are in [0,1]; region labels are int64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

NEARLY_ALL = 0.95  # share of a mask's cells, above which hardly a pixel is left that must not change


def _each(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """`change` of a tensor, or of every tensor of a dict, of a tuple and of a record; None stays None."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {name: change(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_each(item, change) for item in value)
    if isinstance(value, TailLayer | LayerMasks):
        return type(value)(**{each.name: _each(getattr(value, each.name), change) for each in fields(value)})
    return change(value)


@dataclass(frozen=True)
class TailLayer:
    """Styles that are blended in at every site after the blend site, under a mask of their own (blended_walk.py)."""

    styles: dict[str, Tensor]  # site after the blend site -> [B,C]
    mask: Tensor  # [B,1,s,s] in [0,1]: of a proposed edit the share of M, [B,1,r,r]; once rendered the mask itself


@dataclass(frozen=True)
class LayerMasks:
    """Where each layer of an edit is in force, for methods that blend at several (editing/layered_trunk.py)."""

    masks: dict[str, Tensor]  # last site of a layer -> [B,1,h,h] in [0,1], what is blended there
    attention: dict[str, Tensor]  # the same before the threshold
    own: Tensor  # [B,1,r,r]: the mask M that belongs to them; where Edit.mask is larger, all layers are in force
    selection: Tensor | None = None  # e [B,P,layers] in [0,1]: how far each of P segments is selected at each layer


@dataclass(frozen=True)
class Source:
    """What is edited: latents, styles and what the generator wrote on the way to the source image, as far as kept."""

    w: Tensor  # [B,L,W]
    styles: dict[str, Tensor]  # site -> [B,C]
    features: dict[str, Tensor]  # site -> [B,C,h,w]; "constant" is the learned input
    rgb: dict[str, Tensor] = field(default_factory=dict)  # site -> cumulative [B,3,h,w]; empty without an RGB skip
    image: Tensor | None = None  # [B,3,R,R]; None when the walk ended before the last site
    layers: tuple[TailLayer, ...] = ()  # of earlier edits of a sequence, in force after the blend site
    # Of a photo: what its canvas has beyond what w writes, site -> [B,C,h,w]; `features` have it already.
    residual: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.w)

    def with_(self, **changes) -> Source:
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def plain(self) -> Source:
        """The source with the features of generated faces, without the residual: what trained networks know."""
        own = {site: self.features[site] - added for site, added in self.residual.items()}
        return self.with_(features=self.features | own, residual={}) if own else self

    def take(self, rows: Any) -> Source:
        """The samples `rows` (a slice, a list or an index tensor) as a new Source."""
        return self._each(lambda x: x[rows])

    def repeat(self, times: int) -> Source:
        """Every sample `times` times in a row, as expanded views where B is 1; once is the source itself."""
        if times == 1:
            return self
        if len(self) == 1:
            return self._each(lambda x: x.expand(times, *x.shape[1:]))
        return self.take(torch.arange(len(self), device=self.w.device).repeat_interleave(times))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Source:
        """A copy with every tensor changed."""
        return Source(**{each.name: _each(getattr(self, each.name), change) for each in fields(self)})


@dataclass(frozen=True)
class Condition:
    """What should change: one embedding per edit, and how strongly."""

    h: Tensor  # [B,D] embedding that drives the mapper (Eq. 2)
    h_attention: Tensor  # [B,D] embedding that drives the attention (Eq. 3); not h with two prompts or a reference
    strength: float | Tensor = 0.1  # the paper's alpha (Eq. 1): of all edits, or of each [B,1]
    prompts: tuple[str, ...] = ()
    per_source: int = 1  # m of Eq. 4, the edits of one source, which stand one after the other
    threshold: float | None = None  # attention below it is not edited, from 0 to 1; None: the method's own

    def __len__(self) -> int:
        return len(self.h)

    def take(self, rows: list[int]) -> Condition:
        """The conditions of the edits `rows` as those of a source each."""
        strength = self.strengths[rows] if len(self.strengths) > 1 else self.strength
        prompts = tuple(self.prompts[row] for row in rows)
        h, h_attention = self.h[rows], self.h_attention[rows]
        return replace(self, h=h, h_attention=h_attention, strength=strength, prompts=prompts, per_source=1)

    @property
    def strengths(self) -> Tensor:
        """The strength of each edit [B,1]; [1,1] where one number is that of all."""
        return torch.as_tensor(self.strength).to(self.h).reshape(-1, 1)


@dataclass(frozen=True)
class Certificate:
    """Which pixels one edit touched, measured on the two images (docs/architecture.md, Contracts).

    |edited - source| is the largest difference of a pixel's three channels, in [0,2]. Shares of pixels are of all R*R.
    """

    mask_area: float  # share of the r*r cells of the mask that are above 0
    halo: int  # output pixels past the mask that the generator can reach
    allowed_area: float  # share of pixels inside mask + halo
    changed: float  # share of pixels that differ at all
    leak_max: float  # largest |edited - source| outside mask + halo; exactly 0 for a local method
    leak_mean: float  # mean |edited - source| outside mask + halo; both are 0 where nothing is outside
    promised: bool = True  # whether the method promises that it is local; where it does not, a leak is no defect

    @property
    def local(self) -> bool:
        return self.leak_max == 0.0

    @property
    def whole(self) -> bool:
        """Whether so much may be edited that being local says nothing: nearly all cells, or every pixel."""
        return self.mask_area > NEARLY_ALL or self.allowed_area == 1


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One batch of edits and everything that explains them. What a method does not have is None or empty."""

    styles: dict[str, Tensor]  # u: site -> [B,C]
    mask: Tensor  # M [B,1,r,r]: what blends
    tail: TailLayer | None = None  # what is blended at the later sites too, where M is above 0
    reversed: Tensor | None = None  # bool [B,1]: edits away from what the prompt says; None: none is
    attention: Tensor | None = None  # a [B,1,r,r] before region averaging
    region_attention: Tensor | None = None  # a-bar [B,1,r,r]: attention averaged over regions, nothing else
    regions: Tensor | None = None  # labels [B,r,r] in [0,num_regions)
    num_regions: int = 0
    region_shares: Tensor | None = None  # share of each part of a face in a region [num_regions,25]
    features: dict[str, Tensor] = field(default_factory=dict)  # site -> [B,C,h,w], blended, from the blend site on
    rgb: dict[str, Tensor] = field(default_factory=dict)  # site -> cumulative [B,3,h,w], likewise
    residual: dict[str, Tensor] = field(default_factory=dict)  # of a photo, what the blended canvas has left of it
    layers: tuple[TailLayer, ...] = ()  # all that are in force in the picture: the source's, then the edit's own
    image: Tensor | None = None  # [B,3,R,R]
    by_layer: LayerMasks | None = None  # where each layer is in force; None: all where M is above 0
    unmasked_image: Tensor | None = None  # [B,3,R,R]: the edit under masks of ones, where a loss reads it
    shift: Tensor | None = None  # length of the shift of each of the S edited sites [B,S], in the mapper's coordinates
    certificate: tuple[Certificate, ...] = ()

    def take(self, rows: slice) -> Edit:
        """The edits `rows` as a new Edit."""
        own = [each.name for each in fields(self) if each.name not in ("num_regions", "region_shares", "certificate")]
        taken = {name: _each(getattr(self, name), lambda x: x[rows]) for name in own}
        return self.with_(**taken, certificate=self.certificate[rows])

    def with_(self, **changes) -> Edit:
        """A copy with some fields replaced."""
        return replace(self, **changes)
