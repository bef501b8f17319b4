"""Inception Score (Salimans et al. 2016): exp of the mean KL divergence between p(class | image) and p(class)."""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import EditBatch

SPLITS = 10  # as Salimans et al. compute it


@METRICS.register("inception_score")
class InceptionScore(Metric):
    """The score's mean over 10 splits in order of sample number.

    Of a split of one picture it is always 1, so that there are at least two in each. The paper describes it and prints
    no value. It measures how varied images are among ImageNet's classes, which says little about faces.
    """

    higher_is_better = True
    needs = ("inception", "inception_logits")
    protocol = "Inception Score of edited images, 10 splits; TensorFlow Inception logits without bias"
    width = 1008
    of_set = True
    fewest = 2 * SPLITS

    def measure(self, batch: EditBatch) -> Tensor:
        return batch.after.networks["inception_logits"](batch.after.embedding("inception"))

    def figure(self, values: Tensor) -> float:
        parts = values.log_softmax(1).tensor_split(SPLITS)
        return float(torch.stack([_score(part) for part in parts]).mean())


def _score(log_p: Tensor) -> Tensor:
    """The score of one split from log-probabilities [n,classes]."""
    marginal = log_p.exp().mean(0).log()
    return (log_p.exp() * (log_p - marginal)).sum(1).mean().exp()
