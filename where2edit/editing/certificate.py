"""The certificate of an edit: which pixels it may touch, and which it did (docs/architecture.md, Contracts).

Legend: B batch, r blend resolution, R output resolution. Masks are [B,1,r,r] in [0,1].
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.core.records import Certificate
from where2edit.editing.blended_walk import blended_sites
from where2edit.editing.masks import grow_along
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
    rows = grow_along((mask > 0).float().repeat_interleave(cell, 3), halo, 3)  # all rows of a cell are alike
    return grow_along(rows.repeat_interleave(cell, 2), halo, 2) > 0


@torch.no_grad()
def certify(source_image: Tensor, edited_image: Tensor, mask: Tensor, halo: int) -> tuple[Certificate, ...]:
    """One certificate per sample: what an edit with `mask` changed, measured on the two images [B,3,R,R] in [-1,1].

    Raises ValueError for images of two shapes or another number of masks.
    """
    if source_image.shape != edited_image.shape or len(mask) != len(edited_image):
        shapes = [list(x.shape) for x in (source_image, edited_image, mask)]
        raise ValueError(f"source and edited images of one shape and one mask each needed, got {shapes}")
    difference = (edited_image - source_image).abs().amax(1, keepdim=True)  # [B,1,R,R]
    allowed = allowed_region(mask, halo, edited_image.shape[-1])
    return tuple(_certificate(*sample, halo) for sample in zip(mask, difference, allowed, strict=True))


def _certificate(mask: Tensor, difference: Tensor, allowed: Tensor, halo: int) -> Certificate:
    # NaN compares as unequal to 0 and stays NaN in max and mean, so that a broken image is never certified.
    outside, allowed_area = torch.where(allowed, 0, difference), allowed.float().mean().item()
    pixels_outside = outside.numel() - allowed.sum().item()
    return Certificate(
        mask_area=(mask > 0).float().mean().item(),
        halo=halo,
        allowed_area=allowed_area,
        changed=difference.count_nonzero().item() / difference.numel(),
        leak_max=outside.max().item(),
        leak_mean=outside.sum().item() / max(pixels_outside, 1),
    )
