"""The paper's ablations (Table 3, Fig. 7), to be trained like where2edit itself.

The released code has no runnable version of them; these follow the text of Section 4.3.
"""

from __future__ import annotations

from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.mappers.base import build_mapper
from where2edit.editing.masks import make_mask
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, Method, MethodConfig
from where2edit.methods.where2edit import Where2Edit


@METHODS.register("where2edit-no-attention")
class NoAttention(Method):
    """The mapping module alone ("W/O Attn"): its styles are in force everywhere up to the blend site."""

    local = True

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__(frozen)
        self.mapper = build_mapper(frozen.generator, frozen.blend_site, frozen.text_dim, config.mapper)

    def propose(self, source: Source, condition: Condition) -> Edit:
        """n sources, n*m conditions -> n*m edits: new styles under a mask of ones, without an attention."""
        repeated = source.repeat(condition.per_source)
        u, shift = self.mapper(repeated, condition)
        tail = self.mapper.tail(repeated, condition, None)
        against = (condition.strengths < 0).expand(len(condition), 1)
        return Edit(styles=u, tail=tail, shift=shift, mask=self.frozen.flat_mask(repeated, 1.0), reversed=against)


@METHODS.register("where2edit-no-clusters")
class NoClusters(Where2Edit):
    """Eq. 3 without Clus ("W/O Clus"): the mask is the attention of each pixel, not averaged over regions.

    It is trained with the loss `attention_area`.
    """

    def propose(self, source: Source, condition: Condition) -> Edit:
        """As where2edit, with a mask from the attention itself; the attention is not averaged over regions."""
        edit = super().propose(source, condition)
        mask = make_mask(edit.attention, self.frozen.blending, condition.threshold)
        return edit.with_(mask=mask, region_attention=None)
