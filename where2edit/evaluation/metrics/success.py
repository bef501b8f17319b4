"""Success Rate and the cosines behind it: does an edited image lie closer to its prompt than the source did?

By the encoder of the training the figures are too high, since edits were trained with it; the held-out encoder was not
seen in training. The name of each metric says which encoder it reads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import EditBatch


def cosines(batch: EditBatch, encoder: str) -> Tensor:
    """Cosine of prompt and image before and after each of B edits: [B,2]."""
    text = batch.text_of(encoder)
    return torch.stack([(text * view.embedding(encoder)).sum(1) for view in (batch.before, batch.after)], 1)


class SuccessRate(Metric):
    """Share of edits whose cosine to the prompt rises; an edit that changes nothing fails."""

    higher_is_better = True
    width = 2

    def measure(self, batch: EditBatch) -> Tensor:
        return cosines(batch, self.needs[0])

    def scores(self, values: Tensor) -> Tensor:
        return (values[:, 1] > values[:, 0]).double()


@METRICS.register("success_train_encoder")
class SuccessTrainEncoder(SuccessRate):
    needs = ("train_encoder",)
    protocol = "share of edits with cos(edited, prompt) > cos(source, prompt), encoder of the training"


@METRICS.register("success_heldout_encoder")
class SuccessHeldoutEncoder(SuccessRate):
    needs = ("heldout_encoder",)
    protocol = "share of edits with cos(edited, prompt) > cos(source, prompt), encoder that no training saw"


class Cosine(Metric):
    """Mean cosine of prompt and image at one `column`: 0 before, 1 after the edit."""

    higher_is_better = True
    column: int

    def measure(self, batch: EditBatch) -> Tensor:
        return cosines(batch, self.needs[0])[:, self.column]


@METRICS.register("cosine_before_train_encoder")
class CosineBeforeTrainEncoder(Cosine):
    needs, column = ("train_encoder",), 0
    protocol = "mean cos(source, prompt), encoder of the training"


@METRICS.register("cosine_after_train_encoder")
class CosineAfterTrainEncoder(Cosine):
    needs, column = ("train_encoder",), 1
    protocol = "mean cos(edited, prompt), encoder of the training"


@METRICS.register("cosine_before_heldout_encoder")
class CosineBeforeHeldoutEncoder(Cosine):
    needs, column = ("heldout_encoder",), 0
    protocol = "mean cos(source, prompt), encoder that no training saw"


@METRICS.register("cosine_after_heldout_encoder")
class CosineAfterHeldoutEncoder(Cosine):
    needs, column = ("heldout_encoder",), 1
    protocol = "mean cos(edited, prompt), encoder that no training saw"
