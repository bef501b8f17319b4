"""styleclip-global: one direction of StyleSpace for a pair of texts (Patashnik et al. 2021, 2103.17249, Section 6).

With the styles s of a face, the standard deviation sigma_c of their channel c, and d_c, the direction in which the unit
embedding of a picture goes when channel c is moved (editing/channel_relevance.py), of length 1:

    (S5)  t = E(target) - E(neutral), of length 1      embeddings are means over templates, of length 1 themselves
    (S6)  R_c = d_c . t
    (S7)  D_c = R_c if |R_c| >= beta, else 0
    (S8)  s* = s + alpha reach sigma D / max |D|

(S6) and (S7) are the paper's Section 6.2 and 6.3; (S8) is how its published program measures alpha: at 1 the channel
that is moved furthest goes `reach` standard deviations. Nothing is learnt. The same direction serves every face; what
is measured once for a generator and an encoder serves every prompt.

Chosen here, where the paper says otherwise or nothing: d_c is the limit of small moves (`relevance.moved` 0), see
channel_relevance.py; the length of t is that of a unit vector also where the two texts are close.

Legend: B edits, C numbers of a style, K channels of all edited sites, S edited sites, D embedding width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.bounds import Bounds, Share
from where2edit.core.records import Condition, Source
from where2edit.core.sentences import quoted
from where2edit.editing.channel_relevance import RelevanceConfig, channel_relevance, channel_sites, style_spread
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, MethodConfig
from where2edit.methods.whole_picture import WholePicture
from where2edit.text_image.base import TextImage


@dataclass(frozen=True)
class StyleClipGlobalOptions:
    """Options of the method `styleclip-global`. Raises ValueError for a template without a place for the text."""

    neutral: str = "a face"  # what the prompt is compared with
    beta: Share = 0.25  # least |R_c| of a channel that is moved: the larger, the fewer, and the more local the edit
    reach: Annotated[float, Bounds(0, 100, above=True)] = 3.0  # of the channel that is moved furthest, in sigma
    templates: tuple[str, ...] = ("{}",)  # sentences into which both texts are put
    relevance: RelevanceConfig = field(default_factory=RelevanceConfig)

    def __post_init__(self):
        if not self.templates or any(each.count("{}") != 1 for each in self.templates):
            raise ValueError("method.options.templates must be sentences with one {} each, such as 'a photo of {}'")


@METHODS.register("styleclip-global", options=StyleClipGlobalOptions)
class StyleClipGlobal(WholePicture):
    """Learns nothing; `precompute` measures the channels, and an edit costs no more than its picture."""

    needs_weights = False

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__(frozen)
        self.options = config.resolved()
        self.sites = channel_sites(frozen.generator)
        self.spread = style_spread(frozen.generator, self.sites)  # sigma
        self._encoder: tuple[TextImage, ...] = ()  # in a tuple: no submodule of what is trained
        self._known: dict[str, Tensor] = {}  # text -> its embedding [D]

    def precompute(self, encoder: TextImage) -> None:
        """Measure how channels move embeddings, or read it from the cache: d [K,D], of length 1 or 0."""
        frozen, self._encoder = self.frozen, (encoder,)
        measured = channel_relevance(frozen.generator, encoder, frozen.own_preview, self.sites, self.options.relevance)
        self.moves = F.normalize(measured, dim=1)

    def check(self, condition: Condition) -> None:
        """Raise ValueError for a place or picture, and for a prompt that moves no channel as far as `beta` asks."""
        if not torch.equal(condition.h, condition.h_attention):
            raise ValueError("styleclip-global edits by one text and knows no place; leave out --where and --reference")
        for prompt, relevance in zip(condition.prompts, self.relevance(condition), strict=True):
            if (most := relevance.abs().max().item()) < self.options.beta:
                raise ValueError(
                    f"no channel is as relevant to {quoted(prompt)} as method.options.beta={self.options.beta:g} asks; "
                    f"the most relevant has {most:.3f}; set a smaller beta"
                )

    def styles(self, source: Source, condition: Condition) -> tuple[dict[str, Tensor], Tensor]:
        """The styles {site: [B,C]} of (S8), and the length [B,S] of their change in standard deviations."""
        relevance = self.relevance(condition)
        chosen = torch.where(relevance.abs() >= self.options.beta, relevance, 0)  # (S7)
        furthest = chosen.abs().amax(1, keepdim=True)
        moved = condition.strength * self.options.reach * chosen / furthest.where(furthest > 0, 1)  # [B,K]
        styles, lengths = dict(source.styles), []
        for site, step in zip(self.sites, moved.split([site.width for site in self.sites], 1), strict=True):
            styles[site.name] = styles[site.name] + step * self.spread[site.name]
            lengths.append(step.norm(dim=1))
        return styles, torch.stack(lengths, 1)

    def relevance(self, condition: Condition) -> Tensor:
        """R [B,K] of (S6) for each prompt, in [-1,1]."""
        neutral = self.embedded(self.options.neutral)
        t = torch.stack([self.embedded(prompt) for prompt in condition.prompts]) - neutral
        return F.normalize(t, dim=1) @ self.moves.T  # (S5)

    @torch.no_grad()
    def embedded(self, text: str) -> Tensor:
        """The embedding [D] of a text, of length 1: the mean over templates of unit embeddings."""
        if text not in self._known:
            (encoder,) = self._encoder
            each = encoder.text([template.replace("{}", text) for template in self.options.templates], truncate=True)
            self._known[text] = F.normalize(F.normalize(each.float(), dim=1).mean(0), dim=0)
        return self._known[text]
