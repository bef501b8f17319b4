"""What every seam shares: its section in the config and its interface.

A registered factory is called as `SEAMS.get(name)(options)` and returns a Seam.

Legend: B samples, C channels, r blend resolution.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from where2edit.core.config import Choice
from where2edit.editing.seams import SEAMS


@dataclass(frozen=True)
class SeamConfig(Choice):
    """The `blending.seam` section: a registered seam and its options."""

    registry = SEAMS
    where = "blending.seam"

    name: str = "none"

    def built(self) -> Seam:
        """The seam with its options."""
        return SEAMS.get(self.name)(self.resolved())


class Seam(ABC):
    """A change of the edited tensor before it is blended, so that it fits the source at the rim of the mask."""

    @abstractmethod
    def __call__(self, edited: Tensor, source: Tensor, mask: Tensor) -> Tensor:
        """edited, source [B,C,r,r], mask M [B,1,r,r] -> the edited tensor that is blended, [B,C,r,r].

        Only cells with M > 0 may change, and nothing where M > 0 everywhere: then there is no rim.
        """
