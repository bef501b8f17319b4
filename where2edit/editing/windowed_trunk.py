"""The trunk where the mask is, and nowhere else: every other cell of the blended canvas is the source's own.

The edited canvas is needed under the mask and, by a seam, one cell around it. At every enlargement the trunk is
narrowed to what the later sites still read for that window.

Legend: B batch, C channels, r blend resolution. Masks are [B,1,r,r] in [0,1].
"""

from __future__ import annotations

from torch import Tensor

from where2edit.core.records import Source
from where2edit.editing.blended_walk import Blended, blended_canvas, blended_sites, blended_trunk, check_source
from where2edit.editing.mask_windows import bounding_window, needed
from where2edit.editing.seams.base import Seam
from where2edit.generators.base import Canvas, Generator
from where2edit.generators.window import Window

RIM = 1  # cells around the mask that a seam reads


def windowed_trunk(
    generator: Generator,
    source: Source,
    styles: dict[str, Tensor],
    mask: Tensor,
    site: str,
    seam: Seam | None = None,
) -> Blended:
    """`blended_trunk` up to rounding, without gradients, on one window around the masks of all samples.

    Raises ValueError as `blended_trunk` does.
    """
    sites, seen = blended_sites(generator, site), bounding_window(mask.gt(0).any(0)[0])
    if len(sites) > 2 or mask.shape[-1] != sites[0].resolution:
        return blended_trunk(generator, source, styles, mask, site, seam)
    check_source(generator, source, mask, site)
    features = {site: source.features[site].clone()}
    rgb = {each.name: source.rgb[each.name].clone() for each in sites[1:]}
    residual = {name: value.clone() for name, value in source.residual.items()}
    if seen is not None:
        # Whole cells of the RGB canvas of half the size, which the last site enlarges, and what its filter reads.
        window = seen.grown(RIM + sites[-1].skip_spread).over(seen.cells // 2).at(seen.cells)
        canvas = edited_part(generator, styles, len(mask), sites[-1].name, site, window)
        own = source.with_(
            features=cropped(features, window), rgb=cropped(rgb, window), residual=cropped(residual, window)
        )
        part = blended_canvas(generator, own, styles, canvas, window.crop(mask), site, seam)
        for whole, written in ((features, part.features), (rgb, part.rgb), (residual, part.residual)):
            for name, value in written.items():
                window.crop(whole[name]).copy_(value)
    last = sites[-1].name
    return Blended(Canvas(features[site], rgb.get(last)), last, features, rgb, residual)


def edited_part(
    generator: Generator, styles: dict[str, Tensor], batch: int, last: str, site: str, window: Window
) -> Canvas:
    """The edited canvas after `site` in a window of its cells, features [B,C,h,w]; `last`: the last blended site."""
    canvas, before = generator.start(batch), ""
    for each in generator.upto(site):
        if each.up == 2:
            canvas = canvas.crop(needed(generator, before, window, each, upto=last))
        canvas = generator.step(each, canvas, styles[each.name])
        before = each.name
    return canvas.crop(window)


def cropped(tensors: dict[str, Tensor], window: Window) -> dict[str, Tensor]:
    """The part of each tensor that is in a window."""
    return {name: window.crop(value) for name, value in tensors.items()}
