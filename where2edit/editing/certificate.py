"""The certificate of an edit: which pixels it may touch, and which it did (docs/architecture.md, Contracts).

Legend: B batch, r blend resolution, R output resolution. Masks are [B,1,r,r] in [0,1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.records import Certificate
from where2edit.editing.blended_walk import blended_sites
from where2edit.generators.base import Generator


def halo(generator: Generator, site: str) -> int:
    """Output pixels past an active mask cell that an edit blended at `site` can reach.

    45 for StyleGAN2 at 1024 px, blended at "64.conv1". Raises ValueError for a site that writes RGB.
    """
    sites = blended_sites(generator, site)
    spread = sum(each.spread for each in sites[1:] if not each.rgb)
    return generator.halo(sites[-1].name, spread)


def allowed_region(mask: Tensor, halo: int, resolution: int) -> Tensor:
    """Output pixels that an edit may touch, bool [B,1,R,R], R being `resolution`.

    They are the cells with M > 0 of the mask [B,1,r,r], enlarged to R pixels and grown by the halo.

    Raises ValueError where the cells of the mask do not divide the image.
    """
    cells = mask.shape[-1]
    if resolution % cells:
        raise ValueError(
            f"a {cells} px mask does not divide a {resolution} px image; resize the mask to a power of two"
        )
    return allowed_pixels(mask, halo, resolution // cells)


def allowed_pixels(mask: Tensor, halo: int, cell: int) -> Tensor:
    """The same for any part of a mask, [B,1,h,w], whose cells have `cell` pixels: bool [B,1,h*cell,w*cell]."""
    return _reached(_reached(mask > 0, halo, cell, 3), halo, cell, 2)


def _reached(active: Tensor, halo: int, cell: int, dim: int) -> Tensor:
    """Pixels along the rows (3) or columns (2) that have an active cell within `halo`: bool [B,1,h,w] -> `cell` x dim.

    A difference of running sums over the cells, at the first and after the last cell that a pixel's halo meets.
    """
    total = F.pad(active.float(), (1, 0) if dim == 3 else (0, 0, 1, 0)).cumsum(dim)  # exact: whole numbers
    pixels = torch.arange(active.shape[dim] * cell, device=active.device)
    first = ((pixels - halo) // cell).clamp(min=0)
    after = ((pixels + halo) // cell + 1).clamp(max=active.shape[dim])
    return total.index_select(dim, after) > total.index_select(dim, first)


@torch.no_grad()
def certify(
    source_image: Tensor, edited_image: Tensor, mask: Tensor, halo: int, promised: bool = True
) -> tuple[Certificate, ...]:
    """One certificate per sample: what an edit with `mask` changed, measured on the two images [B,3,R,R] in [-1,1].

    promised: whether the method promises that nothing leaks (Method.local). Raises ValueError for images of two shapes
    or another number of masks.
    """
    if source_image.shape != edited_image.shape or len(mask) != len(edited_image):
        shapes = [list(x.shape) for x in (source_image, edited_image, mask)]
        raise ValueError(f"source and edited images of one shape and one mask each needed, got {shapes}")
    difference = (edited_image - source_image).abs().amax(1, keepdim=True)  # [B,1,R,R]
    allowed = allowed_region(mask, halo, edited_image.shape[-1])
    samples = zip(mask, difference, allowed, strict=True)
    # All numbers are read at once: a GPU is waited for each time.
    found = torch.stack([_measured(*sample) for sample in samples]).tolist()
    return tuple(_certificate(halo, promised, difference[0].numel(), *each) for each in found)


def _measured(mask: Tensor, difference: Tensor, allowed: Tensor) -> Tensor:
    """What a certificate says of one sample, as `_certificate` reads it: [6] in float64, which holds each exactly."""
    # NaN compares as unequal to 0 and stays NaN in max and mean, so that a broken image is never certified.
    outside = torch.where(allowed, 0, difference)
    areas = ((mask > 0).float().mean(), allowed.float().mean(), allowed.sum(), difference.count_nonzero())
    return torch.stack([x.double() for x in (*areas, outside.max(), outside.sum())])


def _certificate(
    halo: int,
    promised: bool,
    pixels: int,
    mask_area: float,
    area: float,
    allowed: float,
    changed: float,
    most: float,
    total: float,
) -> Certificate:
    """From shares of the mask and of the allowed pixels, numbers of allowed and changed ones, and what is outside."""
    mean = total / max(pixels - allowed, 1)
    return Certificate(mask_area, halo, area, changed / pixels, leak_max=most, leak_mean=mean, promised=promised)
