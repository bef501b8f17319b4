"""Success by the judge, an attribute classifier with which no encoder and no editor was trained (backbones.judge).

A prompt names one concept of the judge, or its absence with a leading "-"; prompts without a concept do not count.

Legend: B edits of the batch, C concepts of the judge.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.evaluation.concepts import Asked
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import AnalysedImages, EditBatch
from where2edit.evaluation.metrics.implied import exempt
from where2edit.evaluation.networks import MetricNetworks

NAMED = 3  # concepts that a report names: those that change most


def log_odds(view: AnalysedImages, concepts: tuple[str | None, ...]) -> Tensor:
    """The judge's log-odds of what each of B prompts asks for: [B]; nan without a concept."""
    names, judged = view.networks["judge"].names, view.judged
    nothing = judged.new_full((), torch.nan)
    asked = [None if concept is None else Asked.of(concept, names) for concept in concepts]
    return torch.stack([nothing if a is None else a.log_odds(judged[i]) for i, a in enumerate(asked)])


def probabilities(batch: EditBatch) -> Tensor:
    """Probability of what each prompt asks for, before and after the edit: [B,2]; nan without a concept."""
    return torch.stack([log_odds(view, batch.concepts).sigmoid() for view in (batch.before, batch.after)], 1)


class Judged(Metric):
    """Keeps the judge's probability of what each prompt asks for, before and after the edit."""

    higher_is_better = True
    needs = ("judge",)
    width = 2

    def measure(self, batch: EditBatch) -> Tensor:
        if len(batch.concepts) != len(batch):
            raise ValueError(f"{type(self).__name__} needs a concept (or None) for each of {len(batch)} prompts")
        with torch.no_grad():
            return probabilities(batch)


@METRICS.register("success_judge")
class SuccessJudge(Judged):
    protocol = "share of edits after which the judge finds the named attribute likelier than before"

    def scores(self, values: Tensor) -> Tensor:
        return (values[:, 1] > values[:, 0]).double()


@METRICS.register("judge_gain")
class JudgeGain(Judged):
    protocol = "mean gain of the judge's probability of the named attribute"

    def scores(self, values: Tensor) -> Tensor:
        return values[:, 1] - values[:, 0]


@METRICS.register("judge_after")
class JudgeAfter(Judged):
    protocol = "mean probability of the named attribute after the edit, as the judge sees it"

    def scores(self, values: Tensor) -> Tensor:
        return values[:, 1]


class Lacking(Judged):
    """A judge's metric over only those images that lacked what was asked for: its probability was below one half."""

    def measure(self, batch: EditBatch) -> Tensor:
        values = super().measure(batch)
        return torch.where(values[:, :1] < 0.5, values, torch.nan)


@METRICS.register("success_judge_lacking")
class SuccessJudgeLacking(Lacking, SuccessJudge):
    protocol = "share of the images lacking the named attribute (judge below 0.5) in which its probability rises"


@METRICS.register("reached_judge_lacking")
class ReachedJudgeLacking(Lacking):
    protocol = (
        "share of the images lacking the named attribute (judge below 0.5) in which the judge finds it afterwards"
    )

    def scores(self, values: Tensor) -> Tensor:
        return (values[:, 1] >= 0.5).double()


@METRICS.register("judge_gain_lacking")
class JudgeGainLacking(Lacking, JudgeGain):
    protocol = "mean gain of the judge's probability of the named attribute in images lacking it (below 0.5)"


@METRICS.register("judge_unasked")
class JudgeUnasked(Judged):
    """Side effects on attributes: for each concept of the judge the change of its probability.

    A concept that was asked for or is implied is kept as infinity and does not count.
    """

    higher_is_better = False
    protocol = (
        "mean |change| of the judge's probabilities of all concepts that were neither asked for nor are implied "
        "(metrics/implied.py)"
    )

    def __init__(self, networks: MetricNetworks | None = None):
        self.names: tuple[str, ...] = networks["judge"].names if networks and networks.has("judge") else ()
        self.width = len(self.names)
        super().__init__(networks)

    def measure(self, batch: EditBatch) -> Tensor:
        super().measure(batch)  # raises where a concept is unknown
        change = batch.after.judged.sigmoid() - batch.before.judged.sigmoid()
        asked = [[name in exempt(concept) for name in self.names] for concept in batch.concepts]
        return change.masked_fill(torch.tensor(asked, device=change.device), torch.inf)

    def scores(self, values: Tensor) -> Tensor:
        counts = values.isfinite()
        return values.abs().masked_fill(~counts, 0).sum(1) / counts.sum(1)

    def detail(self, values: Tensor) -> str:
        """The concepts that change most, with their mean signed change."""
        counts = values.isfinite()
        mean = values.masked_fill(~counts, 0).sum(0) / counts.sum(0).clamp(min=1)
        worst = mean.abs().argsort(descending=True)[:NAMED].tolist()
        return ", ".join(f"{self.names[i]} {float(mean[i]):+.2f}" for i in worst)
