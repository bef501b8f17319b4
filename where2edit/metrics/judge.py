"""Success by the judge: an attribute classifier that neither encoder nor editor ever saw (backbones.judge).

A prompt names one concept of the judge, or its absence with a leading "-"; prompts without a concept do not count.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.metrics import METRICS
from where2edit.metrics.base import Case, Metric
from where2edit.registry import nearest


def probabilities(case: Case) -> Tensor:
    """Probability of what each prompt asks for, before and after the edit: [B,2]; nan without a concept."""
    names = case.before.tools["judge"].names
    rows = [_column(concept, names) for concept in case.concepts]
    values = []
    for view in (case.before, case.after):
        p = view.judged.sigmoid()
        values.append(torch.stack([_asked(p[i], row) for i, row in enumerate(rows)]))
    return torch.stack(values, 1)


def _column(concept: str | None, names: tuple[str, ...]) -> tuple[int, bool] | None:
    """Which output a concept is and whether it should be absent; None stays None."""
    if concept is None:
        return None
    name = concept.removeprefix("-")
    if name not in names:
        raise ValueError(f"the judge knows no concept '{name}'; {nearest(name, names)}")
    return names.index(name), concept.startswith("-")


def _asked(p: Tensor, row: tuple[int, bool] | None) -> Tensor:
    if row is None:
        return torch.full((), torch.nan).to(p)
    column, absent = row
    return 1 - p[column] if absent else p[column]


class Judged(Metric):
    higher_is_better = True
    needs = ("judge",)
    width = 2

    def measure(self, case: Case) -> Tensor:
        if len(case.concepts) != len(case):
            raise ValueError(f"{type(self).__name__} needs a concept (or None) for each of {len(case)} prompts")
        with torch.no_grad():
            return probabilities(case)


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
