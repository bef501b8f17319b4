"""From a proposed edit to its picture: blend it into the source's canvas, and finish the picture.

Legend: B batch, R output resolution.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.core.records import Edit, Source
from where2edit.editing.blended_walk import blended_trunk, blended_walk, tail
from where2edit.editing.certificate import halo
from where2edit.editing.preview_head import Preview
from where2edit.editing.seams.base import Seam
from where2edit.editing.tail_layers import layered_preview, own_layers
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
) -> Edit:
    """The edit with its picture: the edited canvas blended into that of the source, and walked to the end.

    source and edit have the same length B. With `preview` the walk ends at its site and the picture is the preview
    head's. `keep_tail`: the edit also gets what the tail wrote, which an attention over all sites reads in the next
    edit of a sequence. `windowed`: trunk and tail run where the mask and what it reaches are, and the source's canvas
    and image, which it must have, are copied elsewhere; equal up to rounding, without gradients. `seam` fits the edited
    canvas to the source's before both are mixed (None: not at all).
    """
    layers = source.layers + own_layers(source, edit, refined=preview is None)
    source = source.with_(layers=layers)
    if keep_tail and preview is None:
        what = (generator, source, edit.styles, edit.mask, blend_site)
        blended, image = blended_walk(*what, keep=True, seam=seam)
        return edit.with_(features=blended.features, rgb=blended.rgb, image=image, layers=layers)
    mask = edit.mask
    if windowed and edit.tail is None:
        mask = torch.where(moved(source, edit)[:, :, None, None], mask, 0)  # what moves nothing is the source's own
    walk = windowed_trunk if windowed else blended_trunk
    blended = walk(generator, source, edit.styles, mask, blend_site, seam)
    if preview is not None:
        seen = tail(generator, source, blended, upto=preview.site)
        image = layered_preview(preview.head, seen.canvas.features, source)
    elif windowed:
        reach = halo(generator, blend_site)
        image = windowed_image(generator, source, blended.canvas, blended.after, mask, reach)
    else:
        image = generator.image(tail(generator, source, blended).canvas)
    return edit.with_(features=blended.features, rgb=blended.rgb, image=image, layers=layers)


def moved(source: Source, edit: Edit) -> Tensor:
    """Which edits have other styles than their source: bool [B,1]."""
    return torch.stack([(u != source.styles[name]).any(1) for name, u in edit.styles.items()]).any(0)[:, None]
