"""Where2edit: text-conditioned mapping, region-based attention, blending at one site (Algorithm 1 of the paper).

Legend: n sources, m edits of each, B = n*m, r blend resolution, k regions.
"""

from __future__ import annotations

from where2edit.attention import Attention
from where2edit.blending import make_mask
from where2edit.mapper import SPACES, edited_sites
from where2edit.methods import METHODS
from where2edit.methods.base import Method, MethodConfig, Parts
from where2edit.ops.region_mean import region_mean
from where2edit.records import Condition, Edit, Source


@METHODS.register("where2edit")
class Where2Edit(Method):
    """One model for every prompt; only what the mask covers changes."""

    local = True

    def __init__(self, parts: Parts, config: MethodConfig):
        super().__init__()
        if parts.regions is None:
            raise ValueError("where2edit needs fitted regions; run scripts/cluster.py for this profile")
        self.mapper = SPACES[config.mapper.space](
            parts.generator, edited_sites(parts.generator, parts.blend_site), parts.text_dim, config.mapper
        )
        self.attention = Attention(parts.generator, parts.blend_site, parts.text_dim, config.attention)
        self.frozen = config.attention.frozen
        self.reads_tail = config.attention.inputs == "all"
        self.parts = parts

    def forward(self, source: Source, condition: Condition, preview: bool = False) -> Edit:
        return self.render(source.repeat(condition.per_source), self.propose(source, condition), preview)

    def propose(self, source: Source, condition: Condition) -> Edit:
        """Everything but the picture: new styles, attention, regions and the mask."""
        parts, m = self.parts, condition.per_source
        labels = parts.regions.label(source.features[parts.blend_site]).repeat_interleave(m, 0)
        repeated = source.repeat(m)
        u, shift = self.mapper(repeated, condition)  # Eq. 1-2
        shared = source if len(source) == 1 else repeated
        a = self.attention(shared.features, condition.h_attention)
        mean = region_mean(a, labels, parts.regions.num_regions)  # Clus in Eq. 3
        mask = make_mask(mean, parts.blending)
        regions = parts.regions
        return Edit(u, mask, a, mean, labels, regions.num_regions, regions.names, shift=shift)

    def schedule(self, progress: float) -> None:
        self.attention.release(progress >= self.frozen)
