"""The mapping module of the paper and of the released code, in StyleSpace (Section 3.2, Eq. 1-2).

Legend: B batch, C numbers in the style of a site, S edited sites.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from where2edit.core.records import Condition, Source
from where2edit.core.registry import NoOptions
from where2edit.editing.mappers import MAPPERS
from where2edit.editing.mappers.base import Mapper
from where2edit.generators.base import Generator, Site
from where2edit.ops.layers import EqualLinear, text_branch


@MAPPERS.register("stylespace")
class StyleSpaceMapper(Mapper):
    """u_i = s_i + alpha (A2_i[A1_i(s_i), F_i(h)] - s_i) for each edited site i (Eq. 2).

    `style` holds A1, `text` F and `fusion` A2; no layer is shared by two sites. Lengths of shifts are Euclidean.
    """

    def __init__(self, generator: Generator, sites: tuple[Site, ...], text_dim: int, options: NoOptions):
        super().__init__()
        self.options = options
        self.sites = tuple(site.name for site in sites)
        self.text = nn.ModuleList(text_branch(text_dim, site.width) for site in sites)
        self.style = nn.ModuleList(EqualLinear(site.width, site.width, bias=1) for site in sites)
        self.fusion = nn.ModuleList(EqualLinear(2 * site.width, site.width, bias=1) for site in sites)

    def forward(self, source: Source, condition: Condition) -> tuple[dict[str, Tensor], Tensor]:
        """Source and condition of length B -> u {site: [B,C]} for every site, and lengths |u_i - s_i| [B,S]."""
        u, lengths = dict(source.styles), []
        for name, text, style, fusion in zip(self.sites, self.text, self.style, self.fusion, strict=True):
            s = source.styles[name]
            target = fusion(torch.cat([style(s), text(condition.h)], dim=1))  # [B,2C] -> [B,C]
            u[name] = s + condition.strength * (target - s)
            lengths.append((u[name] - s).norm(dim=1))
        return u, torch.stack(lengths, dim=1)
