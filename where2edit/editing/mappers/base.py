"""What every mapping module shares: its section in the config, its interface, and the sites that it edits.

A registered factory is called as `MAPPERS.get(name)(generator, sites, text_dim, options)` and returns a Mapper.

Legend: B batch, C numbers in the style of a site, S edited sites.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from where2edit.core.config import Choice
from where2edit.core.records import Condition, Source, TailLayer
from where2edit.editing.mappers import MAPPERS
from where2edit.generators.base import Generator, Site


@dataclass(frozen=True)
class MapperConfig(Choice):
    """The `method.mapper` section: a registered mapper and its options."""

    registry = MAPPERS
    where = "method.mapper"

    name: str = "stylespace"


class Mapper(nn.Module, ABC):
    """A mapping module Map(s, h). `options`: the values that it was built with."""

    options: Any

    @abstractmethod
    def forward(self, source: Source, condition: Condition) -> tuple[dict[str, Tensor], Tensor]:
        """Source and condition of length B -> u {site: [B,C]} for every site of the source, and lengths [B,S].

        The lengths are those of the shifts of the S edited sites in the mapper's own coordinates (L_map, Eq. 6).
        """

    def tail(self, source: Source, condition: Condition, cells: Tensor | None) -> TailLayer | None:
        """What the edit blends in at the sites after the blend site, if anything; by default nothing.

        cells: share of each part of a face in every cell of the mask, [B,r,r,25], or None where it is not known. The
        mask of the result is [B,1,r,r], the share of the edit's mask that the layer takes part in.
        """
        return None


def build_mapper(generator: Generator, blend_site: str, text_dim: int, config: MapperConfig) -> Mapper:
    """A freshly initialised mapper for edits that are blended at `blend_site`; text_dim: numbers of an embedding.

    Raises ValueError for an unknown mapper, option or site.
    """
    factory = MAPPERS.get(config.name)
    return factory(generator, edited_sites(generator, blend_site), text_dim, config.resolved())


def edited_sites(generator: Generator, blend_site: str) -> tuple[Site, ...]:
    """Sites whose styles an edit changes: all up to the blend site, and the RGB site of its resolution where the blend
    site is the last convolution there.
    """
    site = generator.site(blend_site)
    same = [s for s in generator.sites if s.resolution == site.resolution]
    last_convolution = [s for s in same if not s.rgb][-1]
    return generator.upto(same[-1].name if site in (last_convolution, same[-1]) else blend_site)
