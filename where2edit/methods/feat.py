"""FEAT: a latent mapper and an attention network for one prompt, blended at one layer (Hou et al. 2022, 2202.02713).

With the codes w of a face, its features f up to the blend site l, and the generator's own layers:

    (F1)  w* = w + alpha scale M(w)                   M: the latent mapper, on the codes up to l
    (F2)  m = sigmoid(A(f_1, ..., f_l))               A: the attention network, one map of r x r cells
    (F3)  f~_l = m f*_l + (1 - m) f_l                 f*: features of w*; the layers after l have the codes w

The numbers are ours. It is trained on L_clip + L_l2 + L_att + L_tv + L_id, the losses `clip_distance`, `style_delta`,
`attention_area`, `total_variation` and `identity` (docs/methods.md). No word is read: a model edits by the prompt that
it was trained with.

Chosen here, where no source says it: the mapper is StyleCLIP's, three networks for coarse, medium and fine codes, since
FEAT builds on it; PixelNorm is taken over the numbers of a code; maps are enlarged bilinearly; the mask passes the
profile's threshold and starts even; the RGB skip is blended with the same mask, without which an edit leaks everywhere
(`leaky`).

Legend: n sources, m edits of each, B = n*m, L w codes, W numbers of each, C channels of a site, O channels of a map, r
blend resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.core.bounds import Bounds, Few, Rate
from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.blended_walk import (
    blended_features,
    blended_sites,
    edited_canvas,
    finished,
    has_rgb_skip,
    previewed,
    tail,
)
from where2edit.editing.latent_mapper import LatentMapper, lengths, shifted_styles
from where2edit.editing.masks import make_mask
from where2edit.generators.base import Site
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, Method, MethodConfig
from where2edit.ops.layers import EqualLinear, at_every_cell, scaled_leaky_relu


@dataclass(frozen=True)
class FeatOptions:
    """Options of the method `feat`."""

    layers: Few = 4  # fully-connected layers of each network of the mapper
    lr_mul: Rate = 1.0  # of these layers; StyleCLIP's 0.01 at a rate of 0.5 learns as 1 does at 0.005
    scale: Annotated[float, Bounds(0, 100, above=True)] = 0.1  # of what the mapper adds to w
    channels: Annotated[int, Bounds(1, 4096)] = 32  # O, of the attention network
    # Added before the sigmoid: 2 makes the untrained attention about 0.88, above the threshold nearly everywhere.
    bias: Annotated[float, Bounds(-100, 100)] = 2.0
    # True: only the features are blended and the RGB skip is not, as in a published re-implementation. It leaks.
    leaky: bool = False


class AttentionNetwork(nn.Module):
    """A of (F2): the features of every convolution up to l -> m [B,1,r,r] in (0,1)."""

    START = 0.1  # factor on the initial weights of the last layer, so that masks start even

    def __init__(self, sites: tuple[Site, ...], options: FeatOptions):
        super().__init__()
        self.inputs, self.resolution = tuple(site.name for site in sites), sites[-1].resolution
        self.first = nn.ModuleList(EqualLinear(site.channels, options.channels) for site in sites)
        self.last = EqualLinear(options.channels * len(sites), 1, bias=options.bias)
        with torch.no_grad():
            self.last.weight.mul_(self.START)

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        maps = []
        for name, layer in zip(self.inputs, self.first, strict=True):
            x = scaled_leaky_relu(at_every_cell(layer, features[name].to(layer.weight)))  # [B,O,h,w]
            maps.append(F.interpolate(x, (self.resolution, self.resolution), mode="bilinear", align_corners=False))
        return torch.sigmoid(at_every_cell(self.last, torch.cat(maps, 1)))


@METHODS.register("feat", options=FeatOptions)
class Feat(Method):
    """One model for one prompt; the blend site of the profile, `generator.blend_site`, is the paper's layer l."""

    local = True
    one_prompt = True

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__(frozen)
        options, generator = config.resolved(), frozen.generator
        self.leaky = options.leaky
        self.local = not self.leaky
        if self.leaky and not has_rgb_skip(generator):
            raise ValueError(f"'{generator.name}' has no RGB skip that could leak; set method.options.leaky=false")
        sites = generator.upto(frozen.blend_site)
        self.latent_mapper = LatentMapper(generator, sites, options.layers, options.lr_mul, options.scale)
        self.attention = AttentionNetwork(tuple(site for site in sites if site.convolution), options)

    def propose(self, source: Source, condition: Condition) -> Edit:
        """n sources, B conditions -> B edits without their pictures; those of one source differ in strength alone."""
        frozen, source = self.frozen, source.plain()
        repeated = source.repeat(condition.per_source)
        # (F1): the styles of w + alpha scale M(w), which at strength 0 are the source's bit for bit.
        added = self.latent_mapper(source.w)
        delta = {code: condition.strength * x.repeat_interleave(condition.per_source, 0) for code, x in added.items()}
        u = shifted_styles(frozen.generator, repeated, delta, frozen.generator.upto(frozen.blend_site))
        # (F2): where they are in force.
        m = self.attention(source.features).repeat_interleave(condition.per_source, 0)  # [B,1,r,r]
        return Edit(
            styles=u,
            reversed=(condition.strengths < 0).expand(len(condition), 1),
            shift=lengths(delta),
            mask=make_mask(m, frozen.blending, condition.threshold),
            attention=m,
        )

    def render(self, source: Source, edit: Edit, use_preview_head: bool = False, keep_tail: bool | None = None) -> Edit:
        """(F3), as every method renders; where it is leaky, with the edit's own RGB skip in place of a blended one."""
        if not self.leaky:
            return super().render(source, edit, use_preview_head, keep_tail)
        generator, site, preview = self.frozen.generator, self.frozen.blend_site, self.frozen.preview(use_preview_head)
        canvas = edited_canvas(generator, edit.styles, len(edit.mask), site)
        blended = blended_features(generator, source, canvas, edit.mask, site)
        blended = tail(generator, source, blended, upto=blended_sites(generator, site)[-1].name, keep=True)
        image = (
            finished(generator, source, blended) if preview is None else previewed(generator, source, blended, preview)
        )
        written = {name: getattr(blended, name) for name in ("features", "rgb", "residual")}
        return edit.with_(**written, image=image, layers=source.layers)
