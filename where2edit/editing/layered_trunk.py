"""Blending at several layers: the trunk of an edit with a mask for each layer (Revanur et al. 2023, Section 3.3).

A layer is a convolution with the sites before it that belong to it, an enlargement for instance. Phi_l being layer l, w
the codes of the source and w + Delta those of the edit, Eq. 1 of CoralStyleCLIP runs each layer twice on one canvas:

    f^*_l = Phi_l(f*_(l-1), w + Delta),   f^_l = Phi_l(f*_(l-1), w),   f*_l = m_l f^*_l + (1 - m_l) f^_l,

so that a mask of zeros keeps what earlier layers have edited. RGB sites have the codes of the source, as in the paper.

Where the canvas at the blend site L can differ from the source's: a change of layer l reaches `reach` cells further by
the convolutions of the layers after it, so that one open cell at 16 px changes 16 x 16 of 64 x 64 cells. The mask M of
an edit must therefore be above 0 wherever any m_l, grown by its reach, is (`spill`: Eq. 1 as printed); or the last
canvas is blended once more with the source's own, and then M need only be above 0 where some m_l is (ours). In both
cases M is the largest of the m_l at a cell, and the last canvas is the source's exactly where M is 0, which is all that
mask + halo of the certificate rests on.

Legend: B batch, C channels, h resolution of a layer, r blend resolution. Masks m_l are [B,1,h,h], M is [B,1,r,r].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.records import LayerMasks, Source
from where2edit.editing.blended_walk import Blended, blend, blended_canvas, blended_sites, check_source
from where2edit.editing.masks import resize_mask
from where2edit.editing.seams.base import Seam
from where2edit.generators.base import Canvas, Generator, Site


def layer_sites(generator: Generator, site: str) -> tuple[Site, ...]:
    """The last site of each layer up to the blend site: every convolution, and the blend site whatever it is."""
    return tuple(each for each in generator.upto(site) if each.convolution or each.name == site)


def code_sites(generator: Generator, site: str) -> tuple[Site, ...]:
    """The sites up to the blend site whose codes an edit of the layers shifts: all but those that write RGB."""
    return tuple(each for each in generator.upto(site) if not each.rgb)


def reach(generator: Generator, layer: str, site: str) -> int:
    """Cells of the blend resolution past a changed cell of `layer` that the layers after it can change at `site`."""
    if layer == site:  # only its own RGB comes after it, pixel by pixel
        return 0
    return generator.halo(layer, upto=blended_sites(generator, site)[-1].name)


def joined_mask(generator: Generator, masks: Mapping[str, Tensor], site: str, spill: bool) -> Tensor:
    """M [B,1,r,r] of the layers' masks {last site of a layer: [B,1,h,h]}: the largest of them at each cell.

    spill: each is first grown by its reach, so that M is above 0 wherever Eq. 1 can change the canvas at `site`.
    """
    cells = generator.site(site).resolution
    largest = [
        _spread(resize_mask(mask, cells), reach(generator, name, site) if spill else 0) for name, mask in masks.items()
    ]
    return torch.stack(largest).amax(0)


def _spread(mask: Tensor, by: int) -> Tensor:
    """The largest value of a mask [B,1,r,r] within `by` cells, in a square."""
    rows = F.max_pool2d(mask, (2 * by + 1, 1), stride=1, padding=(by, 0))
    return F.max_pool2d(rows, (1, 2 * by + 1), stride=1, padding=(0, by))


def layered_trunk(
    generator: Generator,
    source: Source,
    styles: dict[str, Tensor],
    mask: Tensor,
    site: str,
    seam: Seam | None,
    by_layer: LayerMasks,
) -> Blended:
    """The walk of Eq. 1 through the blend site, and the source's own canvas wherever `mask` [B,1,r,r] is 0.

    Under the mask that belongs to the layers' masks, and under one that narrows it, Eq. 1 holds; the last canvas is
    mixed with the source's by the share of the mask that is left. Any other mask is the user's word on where to edit:
    all layers are in force under it, as with a method that blends once. Raises ValueError as `blended_trunk` does.
    """
    check_source(generator, source, mask, site)
    own, masks = by_layer.own.detach(), by_layer.masks
    replaced = (mask.detach() > own).flatten(1).any(1)[:, None, None, None]  # [B,1,1,1]
    left = torch.where(own > 0, mask.detach() / own.clamp_min(torch.finfo(own.dtype).tiny), 0)
    masks = {name: torch.where(replaced, 1.0, m) for name, m in masks.items()}
    canvas = layered_canvas(generator, source, styles, masks, generator.upto(site))
    return blended_canvas(generator, source, styles, canvas, torch.where(replaced, mask, left), site, seam)


def layered_canvas(
    generator: Generator,
    source: Source,
    styles: dict[str, Tensor],
    masks: Mapping[str, Tensor],
    sites: Iterable[Site],
) -> Canvas:
    """The canvas of Eq. 1 after `sites`, the first ones of the generator; masks: of the layers that end among them."""
    plain = edited = generator.start(len(source))
    for each in sites:
        plain = generator.step(each, plain, source.styles[each.name])
        if each.rgb:
            edited = plain
            continue
        edited = generator.step(each, edited, styles[each.name])
        if each.name in masks:
            plain = edited = edited.rewrite(each, blend(edited.features, plain.features, masks[each.name]))
    return edited
