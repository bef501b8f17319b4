"""The blended walk through the generator, the paper's "careful scheme" (Section 3.4 and Algorithm 1).

The generator runs with the edit's styles up to the blend site (the trunk); there the edited canvas is blended with the
source's under the mask; the sites after it (the tail) run with the source's styles. An edit may also bring styles of
its own for the tail (a tail layer, for colours): each site of the tail runs with both, mixed under the layer's mask.

Legend: B batch, C channels, h x w resolution of a canvas, r blend resolution, R output resolution. Masks M are
[B,1,r,r] in [0,1].

Bit-exactness rests on two facts: `torch.lerp` returns its first argument at weight 0 and its second at weight 1, and a
convolution gives an output pixel the same bits whatever stands outside its receptive field. On a CPU the bits of 4 and
8 px convolutions may depend on the size of the batch, those from 16 px on do not. This can change bits inside the mask
only, and only where source and edits were walked in batches of different sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from where2edit.core.records import Source
from where2edit.editing.masks import resize_mask
from where2edit.editing.preview_head import Preview
from where2edit.editing.residual import kept_share, remaining
from where2edit.editing.seams.base import Seam
from where2edit.editing.tail_layers import layered_preview, layered_step
from where2edit.generators.base import Canvas, Generator, Site


def blend(edited: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """M edited + (1 - M) source: exactly the source where M = 0 and exactly the edit where M = 1.

    edited, source: [B,C,h,w]; mask: [B,1,r,r], resized to h.
    """
    # torch.where at the ends would be exact too, but would cut the gradient that the threshold passes straight through.
    # Under autocast the edit arrives in bfloat16; it is the source whose bits must survive.
    return torch.lerp(source, edited.to(source), resize_mask(mask, edited.shape[2:]).to(source))


def fitted(seam: Seam | None, edited: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """What the edit has written [B,C,h,w], as `seam` fits it to the source's; None leaves it alone."""
    return edited if seam is None else seam(edited.to(source), source, resize_mask(mask, edited.shape[2:]).to(source))


@dataclass(frozen=True)
class Blended:
    """A blended canvas, and what was written from the blend site on as far as it was kept."""

    canvas: Canvas
    after: str  # the last site that was walked
    features: dict[str, Tensor] = field(default_factory=dict)  # site -> [B,C,h,w]
    rgb: dict[str, Tensor] = field(default_factory=dict)  # site -> cumulative [B,3,h,w]
    residual: dict[str, Tensor] = field(default_factory=dict)  # of a photo (residual.py), site -> [B,C,h,w]

    def written(self, site: Site, canvas: Canvas, keep: bool) -> Blended:
        """The record after one more step, which gave `canvas`; `keep`: what it wrote is kept in `features` or `rgb`."""
        name = "rgb" if site.rgb else "features"
        kept = {name: {**getattr(self, name), site.name: canvas.written(site)}} if keep else {}
        return replace(self, canvas=canvas, after=site.name, **kept)


def blended_sites(generator: Generator, site: str) -> tuple[Site, ...]:
    """The blend site, and the RGB site of its resolution (with all between) where the generator has an RGB skip.

    Raises ValueError for a site that writes RGB: blending it alone is not local.
    """
    start = generator.site(site)
    if start.rgb:
        allowed = ", ".join(s.name for s in generator.sites if not s.rgb)
        raise ValueError(f"blend site '{site}' writes RGB, which is not local; choose features: {allowed}")
    later = generator.sites[generator.sites.index(start) :]
    same = [s for s in later if s.resolution == start.resolution]
    return tuple(same) if has_rgb_skip(generator) else (start,)


def has_rgb_skip(generator: Generator) -> bool:
    """Whether RGB is accumulated over several sites instead of being read out once at the end."""
    return sum(site.rgb for site in generator.sites) > 1


def unedited(generator: Generator, source: Source, site: str) -> Blended:
    """The source's own canvas where an edit at `site` has been blended: what a mask of zeros gives."""
    last = blended_sites(generator, site)[-1].name
    return Blended(Canvas(source.features[site], source.rgb.get(last)), last, residual=source.residual)


def blended_trunk(
    generator: Generator,
    source: Source,
    styles: dict[str, Tensor],
    mask: Tensor,
    site: str,
    seam: Seam | None = None,
) -> Blended:
    """Walk with the edit's styles u through the blend site and its RGB, each blended once with the same mask.

    The features at `site` and the cumulative RGB after it are the only tensors that are blended; a site between the two
    (for a blend at "64.conv0") runs on the blended features with the source's style. Both source tensors come from
    `source.features` and `source.rgb`, which for sequential edits hold an earlier blended canvas. Raises ValueError for
    a source that was not walked that far and for a mask of another shape.
    """
    check_source(generator, source, mask, site)
    canvas = edited_canvas(generator, styles, len(mask), site)
    return blended_canvas(generator, source, styles, canvas, mask, site, seam)


def edited_canvas(generator: Generator, styles: dict[str, Tensor], batch: int, site: str) -> Canvas:
    """The canvas after `site` with the edit's styles, not blended."""
    sites = generator.upto(site)

    def walk(*given: Tensor) -> tuple[Tensor, ...]:
        canvas = generator.start(batch)
        for each, style in zip(sites, given, strict=True):
            canvas = generator.step(each, canvas, style)
        return canvas.tensors

    return Canvas(*generator.replayed(("trunk", site, batch), walk, [styles[each.name] for each in sites]))


def blended_canvas(
    generator: Generator,
    source: Source,
    styles: dict[str, Tensor],
    canvas: Canvas,
    mask: Tensor,
    site: str,
    seam: Seam | None = None,
) -> Blended:
    """The edited canvas after the blend site, blended with the source's: first the features, then the RGB skip.

    Canvas, mask and what the source wrote at the sites that are blended show the same part of the picture.
    """
    _, *between = blended_sites(generator, site)
    blended = blended_features(generator, source, canvas, mask, site, seam)
    canvas = blended.canvas
    # The RGB skip of that resolution, where there is one.
    for each in between:
        # The RGB directly after the blend site belongs to the edited trunk, as in the released code.
        style = styles if len(between) == 1 else source.styles
        canvas = generator.step(each, canvas, style[each.name])
        if each.rgb:
            own = source.rgb[each.name]
            canvas = canvas.rewrite(each, blend(fitted(seam, canvas.rgb, own, mask), own, mask))
        blended = blended.written(each, canvas, keep=True)
    return blended


def blended_features(
    generator: Generator, source: Source, canvas: Canvas, mask: Tensor, site: str, seam: Seam | None = None
) -> Blended:
    """The edited canvas after the blend site with its features blended; its RGB skip, if it has one, is the edit's own.

    Of a photo the edit keeps as much of the residual as residual.py says.
    """
    own, edited, residual = source.features[site], canvas.features, source.residual
    if site in residual:
        edited, residual = _with_residual(edited, own, residual[site], mask, site)
    canvas = canvas.rewrite(generator.site(site), blend(fitted(seam, edited, own, mask), own, mask))
    return Blended(canvas, site, {site: canvas.features}, residual=residual)


def _with_residual(
    edited: Tensor, own: Tensor, residual: Tensor, mask: Tensor, site: str
) -> tuple[Tensor, dict[str, Tensor]]:
    """The edit [B,C,h,w] with as much of the residual as stays, and what the blended canvas has of it."""
    share = kept_share(edited, own - residual, residual)
    return edited + share * residual, {site: remaining(residual, share, resize_mask(mask, own.shape[2:]).to(own))}


def tail(
    generator: Generator, source: Source, blended: Blended, upto: str | None = None, keep: bool = False
) -> Blended:
    """Walk on from a blended canvas with the source's styles and layers, through all sites or up to `upto` (a preview).

    `keep`: what each site writes is kept in the result. Raises ValueError for an unknown site.
    """
    rest = generator.after(blended.after)
    for site in rest if upto is None else [s for s in generator.upto(upto) if s in rest]:
        blended = blended.written(site, layered_step(generator, site, blended.canvas, source), keep)
    return blended


def finished(generator: Generator, source: Source, blended: Blended) -> Tensor:
    """The image [B,3,R,R] at the end of the tail; nothing on the way is kept."""
    names = [each.name for each in generator.after(blended.after)]
    if source.layers or not names:
        return generator.image(tail(generator, source, blended).canvas)

    def walk(*given: Tensor) -> tuple[Tensor]:
        styles, canvas = dict(zip(names, given, strict=False)), Canvas(*given[len(names) :])
        return (generator.tail(canvas, styles, blended.after),)

    inputs = (*(source.styles[name] for name in names), *blended.canvas.tensors)
    return generator.replayed(("tail", blended.after), walk, inputs)[0]


def previewed(generator: Generator, source: Source, blended: Blended, preview: Preview) -> Tensor:
    """The preview head's picture [B,3,s,s] of a blended canvas, with the source's styles and layers."""
    canvas = tail(generator, source, blended, upto=preview.site).canvas
    return layered_preview(preview.head, canvas.written(generator.site(preview.site)), source)


def check_source(generator: Generator, source: Source, mask: Tensor, site: str) -> None:
    """Raise ValueError for a source that was not walked as far as it is blended, and for a mask of another shape."""
    names = [s.name for s in blended_sites(generator, site)]
    lacking = [s for s in (names[0], names[-1]) if s not in source.features and s not in source.rgb]
    if lacking:
        raise ValueError(
            f"source lacks what '{lacking[0]}' wrote; walk it with Generator.source(w, upto='{names[-1]}')"
        )
    if mask.ndim != 4 or mask.shape[1] != 1 or len(mask) != len(source):
        raise ValueError(f"mask must be [{len(source)},1,r,r] for a source of {len(source)}, got {list(mask.shape)}")
