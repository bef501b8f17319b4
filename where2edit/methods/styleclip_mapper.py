"""styleclip-mapper: a latent mapper for one prompt (Patashnik et al. 2021, 2103.17249, Section 5).

With the codes w of a face, cut into coarse, medium and fine ones, and one small network for each group:

    (S3)  M(w) = (M_c(w_c), M_m(w_m), M_f(w_f)),   w* = w + alpha scale M(w)
    (S4)  L = L_clip + c_l2 ||M(w)||_2 + c_id L_id

(S3) is the paper's Eq. 3 and (S4) its Eqs. 4 and 5, the losses `clip_distance`, `style_delta` and `identity`. Groups
may be left out, as the paper does where an edit should keep the colours. There is no mask: the whole picture follows
the change of the codes.

Chosen here: the codes of generators other than StyleGAN2 belong to the group of the code that StyleGAN2 has at the same
resolution and role; four layers with PixelNorm before them, and scale 0.1, are those of the published program.

Legend: B edits, S edited codes, C numbers of a style.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from where2edit.core.bounds import Bounds, Few, Rate
from where2edit.core.records import Condition, Source
from where2edit.editing.latent_mapper import LatentMapper, code_group, lengths, shifted_styles
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, MethodConfig
from where2edit.methods.whole_picture import WholePicture


@dataclass(frozen=True)
class StyleClipMapperOptions:
    """Options of the method `styleclip-mapper`. Raises ValueError where every group is left out."""

    layers: Few = 4  # fully-connected layers of each network
    lr_mul: Rate = 1.0  # of these layers; the published 0.01 at a rate of 0.5 learns as 1 does at 0.005
    scale: Annotated[float, Bounds(0, 100, above=True)] = 0.1  # of what the mapper adds to w
    coarse: bool = True  # whether codes 1-4 of StyleGAN2 are changed
    medium: bool = True  # 5-8
    fine: bool = True  # 9 and later

    def __post_init__(self):
        if not any(self.groups):
            raise ValueError("a mapper without coarse, medium and fine codes changes nothing; leave one of them true")

    @property
    def groups(self) -> tuple[bool, bool, bool]:
        """Which groups are changed, from coarse to fine."""
        return self.coarse, self.medium, self.fine


@METHODS.register("styleclip-mapper", options=StyleClipMapperOptions)
class StyleClipMapper(WholePicture):
    """One model for one prompt."""

    one_prompt = True

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__(frozen)
        options, generator = config.resolved(), frozen.generator
        self.sites = tuple(site for site in generator.sites if options.groups[code_group(site)])
        self.latent_mapper = LatentMapper(generator, self.sites, options.layers, options.lr_mul, options.scale)

    def styles(self, source: Source, condition: Condition) -> tuple[dict[str, Tensor], Tensor]:
        """The styles {site: [B,C]} of w* (S3), and the length [B,S] of what is added to each code."""
        delta = {code: condition.strength * added for code, added in self.latent_mapper(source.w).items()}
        return shifted_styles(self.frozen.generator, source, delta, self.sites), lengths(delta)
