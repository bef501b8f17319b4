"""What every loss shares: its section in the config, its interface, and how it is built."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from where2edit.core.bounds import Share, Weight
from where2edit.core.config import build_options, check_values
from where2edit.core.records import Condition, Edit, Source
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES


@dataclass(frozen=True)
class LossConfig:
    """One entry of the `losses` section."""

    weight: Weight
    ramp: tuple[Share, ...] = (0.0, 0.0)  # share of the run at which the weight starts to grow, and is full
    options: dict[str, Any] = field(default_factory=dict)  # checked against the loss's own options

    def __post_init__(self):
        ends = self.ramp
        if len(ends) != 2 or not 0 <= ends[0] <= ends[1] <= 1:
            raise ValueError(f"a loss ramp is two shares of the run, from <= to, in [0,1]; got {list(ends)}")
        check_values(self, "losses")

    def at(self, progress: float) -> float:
        """The weight at `progress` in [0,1] of the run."""
        start, full = self.ramp
        if progress >= full:
            return self.weight
        return 0.0 if progress <= start else self.weight * (progress - start) / (full - start)


class Loss(ABC):
    """A term of the training objective; it reads nothing but fields of the records.

    A registered class is called as `Loss(encoder, options)`, with the options that it was registered with. What
    training must know of a loss beyond its value, the loss declares itself: the attributes and `warnings`.
    """

    reads_region_shares: bool = False  # whether it needs to know which parts of a face the regions show
    fewest_prompts: int = 1  # smallest training.prompts with which the loss is of use
    with_fewer_prompts: str = ""  # what fewer do, as in "training.prompts=1 [makes the loss zero]; use at least 2"

    @abstractmethod
    def __init__(self, encoder: TextImage, options: Any): ...

    @abstractmethod
    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        """The scalar value for n sources and their n*m edits and conditions."""

    @classmethod
    def check_prompts(cls, prompts: int) -> None:
        """Raise ValueError where so many prompts per source (training.prompts) are too few for the loss."""
        if prompts < cls.fewest_prompts:
            raise ValueError(
                f"training.prompts={prompts} {cls.with_fewer_prompts}; "
                f"use at least {cls.fewest_prompts} prompts per image"
            )

    @classmethod
    def warnings(cls, figures: Mapping[str, float], prompts: int) -> list[str]:
        """Plain sentences on a run that is going wrong, from the logged figures of a step.

        Every registered loss is asked, also those without a weight: the advice may be to give one.
        """
        return []


def build_loss(name: str, config: LossConfig, encoder: TextImage) -> Loss:
    """The loss of that name with its options checked. Raises ValueError for unknown names and options."""
    options = build_options(LOSSES, name, config.options, f"losses.{name}.options")
    return LOSSES.get(name)(encoder, options)
