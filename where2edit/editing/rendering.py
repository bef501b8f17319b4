"""From a proposed edit to its picture: blend it into the source's canvas, and finish the picture.

Legend: B batch, R output resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from where2edit.core.records import Edit, Source
from where2edit.editing.blended_walk import Blended, blended_trunk, finished, previewed, tail
from where2edit.editing.certificate import halo
from where2edit.editing.layered_trunk import layered_trunk
from where2edit.editing.preview_head import Preview
from where2edit.editing.seams.base import Seam
from where2edit.editing.skin_light import SkinLight
from where2edit.editing.tail_layers import own_layers
from where2edit.editing.windowed_tail import windowed_image
from where2edit.editing.windowed_trunk import windowed_trunk
from where2edit.generators.base import Generator


def render_blended(
    generator: Generator,
    source: Source,
    edit: Edit,
    blend_site: str,
    preview: Preview | None = None,
    keep_tail: bool = False,
    windowed: bool = False,
    seam: Seam | None = None,
    skin_light: SkinLight | None = None,
) -> Edit:
    """The edit with its picture: the edited canvas blended into that of the source, and walked to the end.

    source and edit have the same length B. With `preview` the walk ends at its site and the picture is the preview
    head's. `keep_tail`: the edit also gets what the tail wrote, which an attention over all sites reads in the next
    edit of a sequence. `windowed`: trunk and tail run where the mask and what it reaches are, and the source's canvas
    and image, which it must have, are copied elsewhere; equal up to rounding, without gradients. An edit with masks for
    several layers has those blended (layered_trunk.py), and the whole of its trunk is run. `seam` fits the edited
    canvas to the source's before both are mixed, and `skin_light` keeps skin from becoming lighter, except in edits
    that are reversed (None: not at all).
    """
    layers = source.layers + own_layers(source, edit, refined=preview is None)
    source = source.with_(layers=layers)
    windowed, mask = windowed and not (keep_tail and preview is None), edit.mask
    if windowed and edit.tail is None:
        mask = torch.where(moved(source, edit)[:, :, None, None], mask, 0)  # what moves nothing is the source's own
    blended = _trunk(edit, windowed)(generator, source, edit.styles, mask, blend_site, seam)
    if skin_light is not None:
        blended = _with_skin_light(generator, source, edit, blended, blend_site, skin_light)
    if preview is not None:
        image = previewed(generator, source, blended, preview)
    elif windowed:
        reach = halo(generator, blend_site)
        image = windowed_image(generator, source, blended.canvas, blended.after, mask, reach)
    else:
        blended = tail(generator, source, blended, keep=True) if keep_tail else blended
        image = finished(generator, source, blended)
    return edit.with_(features=blended.features, rgb=blended.rgb, residual=blended.residual, image=image, layers=layers)


def _trunk(edit: Edit, windowed: bool) -> Callable[..., Blended]:
    """The walk that blends an edit: at one site, whole or in a window, or at each layer that has a mask."""
    if edit.by_layer is not None:
        return partial(layered_trunk, by_layer=edit.by_layer)
    return windowed_trunk if windowed else blended_trunk


def _with_skin_light(
    generator: Generator, source: Source, edit: Edit, blended: Blended, blend_site: str, skin_light: SkinLight
) -> Blended:
    """The blended canvas after the blend site with skin no lighter than the source's; of a photo, as w has it."""
    mask = edit.mask if edit.reversed is None else torch.where(edit.reversed[:, :, None, None], 0, edit.mask)
    features, left, own = blended.canvas.features, blended.residual.get(blend_site), source.plain().features[blend_site]
    if left is None:
        kept = skin_light.kept(features, own, mask, source.styles)
    else:
        kept = skin_light.kept(features - left, own, mask, source.styles) + left
    canvas = blended.canvas.rewrite(generator.site(blend_site), kept)
    return replace(blended, canvas=canvas, features=blended.features | {blend_site: kept})


def moved(source: Source, edit: Edit) -> Tensor:
    """Which edits have other styles than their source: bool [B,1]."""
    return torch.stack([(u != source.styles[name]).any(1) for name, u in edit.styles.items()]).any(0)[:, None]
