"""The paper's ablations (Table 3, Fig. 7), to be trained like where2edit itself.

The released code has no runnable version of them; these follow the text of Section 4.3.
"""

from __future__ import annotations

import torch

from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.blending import make_mask
from where2edit.editing.mappers.base import build_mapper
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, Method, MethodConfig
from where2edit.methods.where2edit import Where2Edit


@METHODS.register("where2edit-no-attention")
class NoAttention(Method):
    """The mapping module alone ("W/O Attn"): its styles are in force everywhere up to the blend site."""

    local = True

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__()
        self.mapper = build_mapper(frozen.generator, frozen.blend_site, frozen.text_dim, config.mapper)
        self.frozen = frozen

    def forward(self, source: Source, condition: Condition, use_preview_head: bool = False) -> Edit:
        return self.render(source.repeat(condition.per_source), self.propose(source, condition), use_preview_head)

    def propose(self, source: Source, condition: Condition) -> Edit:
        """New styles under a mask of ones."""
        repeated = source.repeat(condition.per_source)
        u, shift = self.mapper(repeated, condition)
        cells = self.frozen.generator.site(self.frozen.blend_site).resolution
        everywhere = torch.ones(len(repeated), 1, cells, cells).to(repeated.w)
        return Edit(u, everywhere, everywhere, everywhere, shift=shift)


@METHODS.register("where2edit-no-clusters")
class NoClusters(Where2Edit):
    """Eq. 3 without Clus ("W/O Clus"): every pixel decides for itself. Trained with the loss `attention_area`."""

    def propose(self, source: Source, condition: Condition) -> Edit:
        edit = super().propose(source, condition)
        return edit.with_(mask=make_mask(edit.attention, self.frozen.blending), region_attention=edit.attention)
