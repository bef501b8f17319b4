"""What every attention module shares: its section in the config and its interface.

A registered factory is called as `ATTENTIONS.get(name)(generator, blend_site, text_dim, options)` and returns an
Attention.

Legend: B batch, C channels of a site, D embedding width, r blend resolution.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from where2edit.core.config import Choice
from where2edit.editing.attention import ATTENTIONS
from where2edit.generators.base import Generator


@dataclass(frozen=True)
class AttentionConfig(Choice):
    """The `method.attention` section: a registered attention and its options."""

    registry = ATTENTIONS
    where = "method.attention"

    name: str = "modulated"


class Attention(nn.Module, ABC):
    """An attention module M(f, h)."""

    reads_tail: bool = False  # whether it reads features of sites after the blend site (the generator's tail)
    starts_at: float = 0.0  # share of a training run before it is trained

    @abstractmethod
    def forward(self, features: dict[str, Tensor], h: Tensor) -> Tensor:
        """features of the source {site: [B,C,.,.]} and embeddings h [B,D] -> attention a [B,1,r,r] in (0,1).

        Features of one source, [1,C,.,.], are read for every h. Raises ValueError when an input is missing.
        """

    def release(self, trained: bool = True) -> None:
        """Let the module be trained, or freeze it."""
        self.requires_grad_(trained)


def build_attention(generator: Generator, blend_site: str, text_dim: int, config: AttentionConfig) -> Attention:
    """A freshly initialised attention at the resolution of `blend_site`; text_dim: numbers of an embedding.

    Raises ValueError for an unknown attention, option or site.
    """
    return ATTENTIONS.get(config.name)(generator, blend_site, text_dim, config.resolved())
