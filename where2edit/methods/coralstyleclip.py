"""CoralStyleCLIP: regions and layers selected together, for one prompt (Revanur et al. 2023, 2303.05031).

A latent edit Delta, a direction or a mapper, and a region selector, a matrix over segments or attention networks, are
trained together; each layer up to the blend site has a mask of its own, by which Eq. 1 blends it (layered_trunk.py). It
is trained on the losses of Eq. 6 and 7: `clip_distance` of the edit and of the edit under masks of ones (Eq. 2),
`layer_area` (Eq. 3 and 4), `layer_variation` (Eq. 5), `style_delta` and `identity`. No word is read: a model edits by
the prompt that it was trained with. In use what is below the threshold becomes 0, in training nothing does.

Chosen here, where the paper is silent: networks read the source's features, so that masks do not depend on the
strength; their layers and the matrix start at one value, open; a direction starts at small random numbers; segments are
brought to the resolution of a layer by the mean over a cell, after the threshold; the mapper has four layers and a
scale of 0.1, as StyleCLIP's; RGB sites keep the codes of the source; and the last canvas is blended with the source's
own wherever all masks are 0 (`spill`), so that edits of early layers stay local.

Legend: n sources, m edits of each, B = n*m, L w codes, W numbers of each, h resolution of a layer, r blend resolution,
P segments, N layers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from where2edit.backbones.face_parsing import CLASSES
from where2edit.core.bounds import Bounds, Few, Rate
from where2edit.core.records import Condition, Edit, LayerMasks, Source
from where2edit.editing.latent_mapper import GlobalDirection, LatentMapper, lengths, shifted_styles
from where2edit.editing.layered_trunk import code_sites, joined_mask, layer_sites
from where2edit.editing.masks import threshold_mask
from where2edit.editing.region_selectors import AttentionNetworks, SegmentSelection, parsed_labels
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, Method, MethodConfig


@dataclass(frozen=True)
class CoralStyleClipOptions:
    """Options of the method `coralstyleclip`; the first two choose one of its four variants."""

    region_selector: Literal["attention_network", "segment_selection"] = "attention_network"
    latent_edit: Literal["latent_mapper", "global_direction"] = "latent_mapper"
    # Of segment_selection: the profile's k-means regions, or the classes of a face parser (non-commercial weights).
    segments: Literal["regions", "face_parser"] = "regions"
    alpha: Annotated[float, Bounds(0, 100, above=True)] = 1.5  # the paper's alpha at strength 1
    scale: Annotated[float, Bounds(0, 100, above=True)] = 0.1  # of what the mapper or the direction adds to w
    layers: Few = 4  # fully-connected layers of each network of the mapper
    lr_mul: Rate = 1.0  # of these layers
    channels: Annotated[int, Bounds(1, 4096)] = 32  # of the attention networks
    bias: Annotated[float, Bounds(-100, 100)] = 2.0  # before the sigmoid of either selector at first: 0.88
    spill: bool = False  # True: Eq. 1 as printed, in which early layers change cells that no mask names
    threshold_in_training: bool = False  # True: with the gradient passed straight through (blending.straight_through)


@METHODS.register("coralstyleclip", options=CoralStyleClipOptions)
class CoralStyleClip(Method):
    """One model for one prompt; layers are blended up to the profile's `generator.blend_site`."""

    local = True
    one_prompt = True

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__(frozen)
        self.options = options = config.resolved()
        generator, site = frozen.generator, frozen.blend_site
        sites, layers = code_sites(generator, site), layer_sites(generator, site)
        self.latent_edit: nn.Module = (
            GlobalDirection(generator, sites, options.scale)
            if options.latent_edit == "global_direction"
            else LatentMapper(generator, sites, options.layers, options.lr_mul, options.scale, last_activation=False)
        )
        self.selector: nn.Module = (
            SegmentSelection(layers, self._segments(), options.bias)
            if options.region_selector == "segment_selection"
            else AttentionNetworks(layers, options.channels, options.bias)
        )

    def _segments(self) -> int:
        """P. Raises ValueError where the profile's regions are asked for and none were fitted."""
        if self.options.segments == "face_parser":
            return len(CLASSES)
        if self.frozen.regions is None:
            raise ValueError(
                "coralstyleclip selects among fitted regions; run scripts/cluster.py for this profile, or set "
                "method.options.segments=face_parser or method.options.region_selector=attention_network"
            )
        return self.frozen.regions.num_regions

    def propose(self, source: Source, condition: Condition) -> Edit:
        """n sources, B conditions -> B edits without their pictures; those of one source differ in strength alone."""
        frozen, options, source, m = self.frozen, self.options, source.plain(), condition.per_source
        repeated = source.repeat(m)
        # The styles of w + alpha Delta, which at strength 0 are the source's bit for bit.
        added, alpha = self.latent_edit(source.w), options.alpha * condition.strength
        delta = {code: alpha * x.repeat_interleave(m, 0) for code, x in added.items()}
        u = shifted_styles(frozen.generator, repeated, delta, code_sites(frozen.generator, frozen.blend_site))
        # m_l, and M.
        by_layer = self._masks(source, condition.threshold)
        by_layer = LayerMasks(*(_repeated(each, m) for each in vars(by_layer).values()))
        return Edit(
            styles=u,
            reversed=(condition.strengths < 0).expand(len(condition), 1),
            shift=lengths(delta),
            mask=by_layer.own,
            attention=self._joined(by_layer.attention),
            by_layer=by_layer,
        )

    def _masks(self, source: Source, threshold: float | None) -> LayerMasks:
        """The masks of n sources, with the given threshold or the profile's."""
        options, selection = self.options, None
        if options.region_selector == "attention_network":
            attention = self.selector(source.features)
            masks = {name: self._thresholded(a, threshold) for name, a in attention.items()}
        else:
            e, labels = self.selector.selection(), self._labels(source)  # [P,N], [n,r,r]
            attention = self.selector(labels, e)
            masks = self.selector(labels, self._thresholded(e, threshold))
            selection = e.expand(len(source), *e.shape)
        return LayerMasks(masks, attention, self._joined(masks, options.spill), selection)

    def _labels(self, source: Source) -> Tensor:
        """Which segment each cell of the sources shows: int64 [n,r,r]."""
        frozen = self.frozen
        if self.options.segments == "regions":
            return frozen.regions.label(source.features[frozen.blend_site])
        return parsed_labels(source.image, frozen.generator.site(frozen.blend_site).resolution)

    def _thresholded(self, attention: Tensor, threshold: float | None) -> Tensor:
        """m 1{m >= threshold}; in training m itself, unless the options say otherwise."""
        if self.training and not self.options.threshold_in_training:
            return attention
        config = self.frozen.blending
        return threshold_mask(attention, config if threshold is None else replace(config, threshold=threshold))

    def _joined(self, masks: dict[str, Tensor], spill: bool = False) -> Tensor:
        """The largest of the layers' masks at each cell [B,1,r,r]."""
        return joined_mask(self.frozen.generator, masks, self.frozen.blend_site, spill)

    def render(self, source: Source, edit: Edit, use_preview_head: bool = False, keep_tail: bool | None = None) -> Edit:
        """As every method renders; in training also the picture under masks of ones, which Eq. 2 reads."""
        made = super().render(source, edit, use_preview_head, keep_tail)
        if not self.training:
            return made
        opened = edit.with_(mask=torch.ones_like(edit.mask), by_layer=None)
        image = super().render(source, opened, use_preview_head, keep_tail).image
        return made.with_(unmasked_image=image.float())  # like the other picture, also in mixed precision


def _repeated(value: Tensor | dict[str, Tensor] | None, times: int):
    """A tensor, or every tensor of a dict, with each row `times` times in a row; None stays None."""
    if isinstance(value, dict):
        return {name: _repeated(each, times) for name, each in value.items()}
    return None if value is None else value.repeat_interleave(times, 0)
