"""What methods that optimise each edit share: nothing is learnt, and the steps are made when an edit is proposed.

Legend: B edits, L w codes of W numbers, C numbers of a style.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from where2edit.core.records import Condition, Source
from where2edit.editing.latent_mapper import lengths, shifted_styles
from where2edit.editing.latent_optimisation import LatentOptimiser, seen
from where2edit.methods.base import Frozen, MethodConfig
from where2edit.methods.whole_picture import WholePicture


class InstanceOptimisation(WholePicture):
    """A method that finds the codes of one face for one prompt; its options have `steps` and `lr`, those of Adam."""

    needs_weights = False

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__(frozen)
        self.options = config.resolved()
        self.optimiser = LatentOptimiser(self.options.steps, self.options.lr)

    @abstractmethod
    def objective(self, source: Source, condition: Condition, added: Tensor) -> Tensor:
        """What is minimised, of one edit: `added` [1,L,W] is what is added to the codes of the source."""

    def styles(self, source: Source, condition: Condition) -> tuple[dict[str, Tensor], Tensor]:
        """The styles {site: [B,C]} at what was found times the strength, and its length [B,L] for each code."""
        added = self.optimiser.added(source, condition, self.objective)
        delta = {code: condition.strength * added[:, code] for code in range(added.shape[1])}
        return shifted_styles(self.frozen.generator, source, delta, self.frozen.generator.sites), lengths(delta)

    def seen(self, source: Source, added: Tensor) -> Tensor:
        """The picture of the source with `added` on its codes: the preview head's, or the whole one without a head."""
        return seen(self.frozen.generator, source, added, self.frozen.own_preview)

    def seen_before(self, source: Source) -> Tensor:
        """The picture of the source as it is."""
        return self.seen(source, torch.zeros_like(source.w))
