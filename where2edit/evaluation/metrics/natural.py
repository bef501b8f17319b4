"""What metrics share that compare edits with natural examples: unedited faces that have what a prompt asks for.

Legend: B edits of a batch, N edits so far, n of them that count, K numbers of each, M natural examples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.evaluation.concepts import Asked
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import EditBatch
from where2edit.evaluation.natural_faces import FEWEST, NaturalFaces


def asked_numbers(batch: EditBatch) -> Tensor:
    """What each prompt asks of the judge, as the number of an Asked: [B]; nan without a concept."""
    names = batch.before.networks["judge"].names
    numbers = [torch.nan if concept is None else Asked.of(concept, names).number for concept in batch.concepts]
    return torch.tensor(numbers, device=batch.source.w.device)


class AgainstNatural(Metric):
    """Compares edits with the natural examples of what their prompts ask for.

    The first of its numbers is that of `asked_numbers`. Edits of prompts without a concept, or whose concept has too
    few natural examples or too few edits, do not count.
    """

    fewest_edits: int = 1  # of one concept
    absent = f"fewer than {FEWEST} natural examples, or too few edits"

    @property
    def natural(self) -> NaturalFaces:
        """The natural faces."""
        return self.networks["natural_faces"]

    def examples(self, number: float) -> Tensor:
        """Which natural faces [M] have what a number of `asked_numbers` asks for."""
        return self.natural.examples(Asked.from_number(number))

    def valid_values(self) -> Tensor:
        """The rows [n,K] that count."""
        values = super().valid_values()
        numbers, counts = values[:, 0].unique(return_counts=True)
        many = (counts >= self.fewest_edits).tolist()
        kept = [
            a for a, enough in zip(numbers.tolist(), many, strict=True) if enough and len(self.examples(a)) >= FEWEST
        ]
        return values[torch.isin(values[:, 0], torch.tensor(kept).to(values))]
