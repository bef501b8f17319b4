"""Tail layers: styles that an edit blends in at every site after the blend site, under a mask of the image's size.

Colour belongs to the late sites of a generator: an edit of the blend site's 64 x 64 cells paints hair as a cap, while
the late sites give each strand a new colour and leave its shape alone. At each site of the tail

    f_i = lerp(step_i(f_(i-1), s_i), step_i(f_(i-1), u_i), M_i),

with the source's style s_i, the layer's u_i, and M_i the layer's mask at the resolution of site i. The mask is that of
the edit, sharpened along the edges of the source image by a guided filter and 0 wherever the edit's own mask is 0, so
that the halo and the certificate are those of the blend site. Ours, not the paper's.

Legend: B batch, C channels, r blend resolution, R output resolution, s pixels of a layer's mask.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.records import Edit, Source, TailLayer
from where2edit.editing.mask_windows import bounding_window, whole
from where2edit.editing.masks import resize_mask
from where2edit.editing.preview_head import PreviewHead
from where2edit.generators.base import Canvas, Generator, Site
from where2edit.ops.guided_filter import guided_filter

GUIDED_AT = 512  # px at which masks are sharpened
RADIUS, EPSILON = 1 / 64, 0.01  # of the guided filter: share of the image's width, and of grey values in [0,1]
LOW, HIGH = 0.2, 0.6  # filtered values that become 0 and 1: they cut the glow off around the edge


def own_layers(source: Source, edit: Edit, refined: bool) -> tuple[TailLayer, ...]:
    """The edit's own layer with its final mask, or nothing; `refined`: sharpened along the edges of the source."""
    if edit.tail is None:
        return ()
    mask = edit.mask * resize_mask(edit.tail.mask, edit.mask.shape[-1])
    refined = refined and not _everywhere(mask)  # a whole picture has no edges to follow
    return (TailLayer(edit.tail.styles, refine(mask, source.image, edit.mask) if refined else mask),)


def refine(mask: Tensor, image: Tensor, within: Tensor) -> Tensor:
    """A mask [B,1,r,r] as one of the image's size, along the edges of the image [B,3,R,R]: [B,1,R,R] in [0,1].

    It is 0 in every cell where the mask `within` [B,1,r,r] is 0, and computed where it is not.
    """
    refined = image.new_zeros(len(mask), 1, *image.shape[2:])
    # A GPU filters the whole picture sooner than it is looked at where the mask is.
    seen = whole(within) if within.is_cuda else bounding_window(within.gt(0).any(0)[0])
    if seen is None:
        return refined
    read = seen.grown(math.ceil(2 * RADIUS * mask.shape[-1]) + 1)  # the filter looks twice, and enlarging one cell far
    size, part = min(GUIDED_AT, image.shape[-1]), read.crop(image)
    small, full = ([side * each // image.shape[-1] for side in part.shape[2:]] for each in (size, image.shape[-1]))
    grey = F.interpolate((part.mean(1, keepdim=True) + 1) / 2, size=small, mode="area")
    coarse = F.interpolate(read.crop(mask), size=small, mode="bilinear", align_corners=False)
    fine = (guided_filter(coarse, grey, max(1, round(RADIUS * size)), EPSILON) - LOW) / (HIGH - LOW)
    fine = F.interpolate(fine.clamp(0, 1), size=full, mode="bilinear", align_corners=False)
    seen.crop(refined).copy_(seen.crop(fine, read))
    return refined * resize_mask((within > 0).to(refined), image.shape[-1])


def layered_step(generator: Generator, site: Site, canvas: Canvas, source: Source) -> Canvas:
    """One step with the source's style, and over what it writes that of each layer under the layer's mask."""
    below, layers = _below(source)
    stepped = generator.step(site, canvas, below[site.name])
    for layer in layers:
        other = generator.step(site, canvas, layer.styles[site.name]).written(site)
        stepped = stepped.rewrite(site, _mixed(stepped.written(site), other, stepped.own(layer.mask)))
    return stepped


def layered_preview(head: PreviewHead, features: Tensor, source: Source) -> Tensor:
    """The preview head's picture [B,3,s,s] of features [B,C,s,s] with the source's styles and layers."""
    below, layers = _below(source)
    image = head(features, below)
    for layer in layers:
        image = _mixed(image, head(features, source.styles | layer.styles), layer.mask)
    return image


def _below(source: Source) -> tuple[dict[str, Tensor], tuple[TailLayer, ...]]:
    """The styles that every pixel starts from, and the layers over them: a mask of ones hides all that lies below."""
    hidden = max((i + 1 for i, layer in enumerate(source.layers) if _everywhere(layer.mask)), default=0)
    below = source.layers[hidden - 1].styles if hidden else {}
    return source.styles | below, source.layers[hidden:]


def _everywhere(mask: Tensor) -> bool:
    return bool((mask == 1).all())


def _mixed(own: Tensor, other: Tensor, mask: Tensor) -> Tensor:
    """lerp(own, other, mask), with the mask [B,1,.,.] brought to their size; exactly `own` where it is 0."""
    size = own.shape[-2:]
    at_size = F.adaptive_avg_pool2d(mask, size) if mask.shape[-1] > size[-1] else resize_mask(mask, size)
    return torch.lerp(own, other.to(own), at_size.to(own))
