"""stylemc: one direction of StyleSpace for one prompt, found in seconds (Kocasari et al. 2021, 2112.08493).

With the styles s of a few generated faces, the standard deviation sigma_c of their channel c, and low resolution
pictures G(s):

    (M1)  s* = s + alpha sigma D                                      D: one number for each channel, for all faces
    (M2)  L = c_clip [1 - cos(E(G(s*)), t)] + c_id [1 - <R(G(s)), R(G(s*))>]

(M2) is the paper's objective, the losses `clip_distance` and `identity`. What makes it fast is that D is no network,
that it serves every face, that pictures are small (256 px there; here the preview head's), and that only channels of
convolutions up to that resolution are moved, not those of RGB. There is no mask.

Chosen here: D counts standard deviations, so that one learning rate fits the channels of every generator; it starts at
random numbers near 0, with which a face is nearly unchanged. The default profile adds the loss `style_delta`, the
length of D, since a small encoder is fooled by channels that CLIP would not be fooled by.

Legend: B edits, C numbers of the style of a site, S edited sites.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from where2edit.core.bounds import Bounds, Pixels
from where2edit.core.records import Condition, Source
from where2edit.editing.channel_relevance import channel_sites, style_spread
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, MethodConfig
from where2edit.methods.whole_picture import WholePicture


@dataclass(frozen=True)
class StyleMcOptions:
    """Options of the method `stylemc`."""

    upto: Pixels = 256  # largest resolution at which channels are moved
    start: Annotated[float, Bounds(0, 10, above=True)] = 0.01  # standard deviation of D before training


@METHODS.register("stylemc", options=StyleMcOptions)
class StyleMc(WholePicture):
    """One direction for one prompt."""

    one_prompt = True

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__(frozen)
        options = config.resolved()
        self.sites = channel_sites(frozen.generator, options.upto)
        self.spread = style_spread(frozen.generator, self.sites)  # sigma
        self.direction = nn.ParameterDict(
            {site.name.replace(".", "_"): options.start * torch.randn(site.width) for site in self.sites}
        )

    def styles(self, source: Source, condition: Condition) -> tuple[dict[str, Tensor], Tensor]:
        """The styles {site: [B,C]} of (M1), and the length [B,S] of their change in standard deviations."""
        styles, lengths = dict(source.styles), []
        for site in self.sites:
            step = condition.strengths * self.direction[site.name.replace(".", "_")]  # [B,C], or [1,C] of all edits
            styles[site.name] = styles[site.name] + step * self.spread[site.name]
            lengths.append(step.norm(dim=1).expand(len(condition)))
        return styles, torch.stack(lengths, 1)
