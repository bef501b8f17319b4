"""Where2edit: text-conditioned mapping, region-based attention, blending at one site (Algorithm 1 of the paper).

Legend: n sources, m edits of each, B = n*m, r blend resolution, k regions.
"""

from __future__ import annotations

from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.attention.base import build_attention
from where2edit.editing.blending import make_mask
from where2edit.editing.mappers.base import build_mapper
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, Method, MethodConfig
from where2edit.ops.region_mean import region_mean


@METHODS.register("where2edit")
class Where2Edit(Method):
    """One model for every prompt; only what the mask covers changes."""

    local = True

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__()
        if frozen.regions is None:
            raise ValueError("where2edit needs fitted regions; run scripts/cluster.py for this profile")
        where = (frozen.generator, frozen.blend_site, frozen.text_dim)
        self.mapper = build_mapper(*where, config.mapper)
        self.attention = build_attention(*where, config.attention)
        self.reads_tail = self.attention.reads_tail
        self.frozen = frozen

    def forward(self, source: Source, condition: Condition, use_preview_head: bool = False) -> Edit:
        return self.render(source.repeat(condition.per_source), self.propose(source, condition), use_preview_head)

    def propose(self, source: Source, condition: Condition) -> Edit:
        """Everything but the picture: new styles, attention, regions and the mask."""
        frozen, m = self.frozen, condition.per_source
        labels = frozen.regions.label(source.features[frozen.blend_site]).repeat_interleave(m, 0)
        repeated = source.repeat(m)
        u, shift = self.mapper(repeated, condition)  # Eq. 1-2
        shared = source if len(source) == 1 else repeated
        a = self.attention(shared.features, condition.h_attention)
        mean = region_mean(a, labels, frozen.regions.num_regions)  # Clus in Eq. 3
        mask = make_mask(mean, frozen.blending)
        regions = frozen.regions
        return Edit(u, mask, a, mean, labels, regions.num_regions, regions.shares, shift=shift)

    def schedule(self, progress: float) -> None:
        self.attention.release(progress >= self.attention.starts_at)
