"""Where2edit: text-conditioned mapping, region-based attention, blending at one site (Fig. 3, Algorithm 1).

Legend: n sources, m edits of each, B = n*m, r blend resolution, k regions.
"""

from __future__ import annotations

from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.attention.base import build_attention
from where2edit.editing.mappers.base import build_mapper
from where2edit.editing.masks import make_mask
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, Method, MethodConfig
from where2edit.ops.region_mean import region_mean


@METHODS.register("where2edit")
class Where2Edit(Method):
    """The method of the paper: one model for every prompt, and only what the mask covers changes."""

    local = True

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__(frozen)
        if frozen.regions is None:
            raise ValueError("where2edit needs fitted regions; run scripts/cluster.py for this profile")
        where = (frozen.generator, frozen.blend_site, frozen.text_dim)
        self.mapper = build_mapper(*where, config.mapper)
        self.attention = build_attention(*where, config.attention)
        self.reads_tail = self.attention.reads_tail

    def propose(self, source: Source, condition: Condition) -> Edit:
        """n sources, B conditions -> B edits without their pictures: new styles, attention, regions and mask."""
        frozen, regions, m = self.frozen, self.frozen.regions, condition.per_source
        source = source.plain()
        repeated = source.repeat(m)
        # Map: the edit's styles (Eq. 1-2).
        u, shift = self.mapper(repeated, condition)
        # Attention per pixel; the prompts of a single source share its features.
        shared = source if len(source) == 1 else repeated
        a = self.attention(shared.features, condition.h_attention)  # [B,1,r,r]
        # Clus: the mean over each region (Eq. 3).
        labels = regions.label(source.features[frozen.blend_site]).repeat_interleave(m, 0)  # [B,r,r]
        mean = region_mean(a, labels, regions.num_regions)
        shares = regions.shares
        cells = None if shares is None else shares[labels]  # [B,r,r,25]
        return Edit(
            styles=u,
            tail=self.mapper.tail(repeated, condition, cells),
            reversed=(condition.strengths < 0).expand(len(condition), 1),
            shift=shift,
            mask=make_mask(mean, frozen.blending, condition.threshold),
            attention=a,
            region_attention=mean,
            regions=labels,
            num_regions=regions.num_regions,
            region_shares=shares,
        )

    def schedule(self, progress: float) -> None:
        """The attention is trained from its `starts_at` on."""
        self.attention.release(progress >= self.attention.starts_at)
