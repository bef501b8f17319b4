"""What every loss shares: its section in the config, its ramp and how it is built.

A registered loss is called as `loss(source, edit, condition) -> scalar`; it reads nothing but fields of the records.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from where2edit.core.config import build
from where2edit.core.records import Condition, Edit, Source
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES


@dataclass(frozen=True)
class LossConfig:
    """One entry of the `losses` section."""

    weight: float
    ramp: tuple[float, ...] = (0.0, 0.0)  # share of the run at which the weight starts to grow, and is full
    options: dict[str, Any] = field(default_factory=dict)  # checked against the loss's own Options

    def __post_init__(self):
        ends = self.ramp
        if len(ends) != 2 or not 0 <= ends[0] <= ends[1] <= 1:
            raise ValueError(f"a loss ramp is two shares of the run, from <= to, in [0,1]; got {list(ends)}")

    def at(self, progress: float) -> float:
        """The weight at `progress` in [0,1] of the run."""
        start, full = self.ramp
        if progress >= full:
            return self.weight
        return 0.0 if progress <= start else self.weight * (progress - start) / (full - start)


class Loss(Protocol):
    """A registered loss class: `Loss(encoder, options)`, with a frozen dataclass `Options` beside it."""

    Options: type

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor: ...


def build_loss(name: str, config: LossConfig, encoder: TextImage) -> Loss:
    """The loss of that name with its options checked. Raises ValueError for unknown names and options."""
    factory = LOSSES.get(name)
    return factory(encoder, build(factory.Options, config.options, f"losses.{name}.options"))
