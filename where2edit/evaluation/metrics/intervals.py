"""Bootstrap intervals of a figure, and the paper's one-sided t-test between two methods.

Legend: N and M samples of two methods, K numbers of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Interval:
    """A figure with the interval that holds the share `level` of its bootstrap replicates."""

    value: float
    low: float  # nan, as `high`, where there is a single sample
    high: float
    n: int  # samples that count
    level: float = 0.95


def bootstrap(
    values: Tensor,
    figure: Callable[[Tensor], float],
    replicates: int = 200,
    seed: int = 0,
    level: float = 0.95,
    centred: bool = False,
) -> Interval:
    """Percentile bootstrap (Efron 1979) of `figure` over the N rows of values [N,...], drawn with replacement.

    A distance between sets, such as FID, is biased upwards by the rows that a replicate repeats: `centred` moves the
    replicates so that their mean is the figure. One row gives nan as both ends: a single sample has no spread. Raises
    ValueError for no rows, fewer than 20 replicates and a level outside (0,1).
    """
    if not len(values):
        raise ValueError("an interval needs at least one sample that counts")
    if replicates < 20 or not 0 < level < 1:
        raise ValueError(f"give at least 20 replicates and a level between 0 and 1, got {replicates} and {level}")
    value = figure(values)
    if len(values) == 1:
        return Interval(value, math.nan, math.nan, 1, level)
    picks = draws(len(values), replicates, seed)
    found = torch.tensor([figure(values[pick]) for pick in picks], dtype=torch.float64)
    return Interval(value, *ends(found, level, value if centred else None), len(values), level)


def draws(count: int, replicates: int, seed: int = 0) -> Tensor:
    """The rows of each replicate [replicates,count], drawn with replacement from `count`."""
    return torch.randint(count, (replicates, count), generator=torch.Generator().manual_seed(seed))


def ends(found: Tensor, level: float = 0.95, centre: float | None = None) -> tuple[float, float]:
    """The quantiles between which the share `level` of the replicates [replicates], in double precision, lies.

    centre: where given, the replicates are moved so that it is their mean.
    """
    if centre is not None:
        found = found + (centre - found.mean())
    low, high = found.quantile(found.new_tensor([(1 - level) / 2, (1 + level) / 2])).tolist()
    return low, high


def better_than(ours: Tensor, theirs: Tensor, higher_is_better: bool = True, paired: bool = True) -> float:
    """p-value of the null hypothesis that `ours` [N] is not better than `theirs` [M] (one-sided t-test).

    `paired`: the same samples edited by two methods (the stronger test); False is Welch's test of two separate sets.
    Differences that are all equal have no spread: then 0 when ours is better, 1 when it is not. Raises ValueError for
    fewer than 2 samples, and for a paired test of different numbers of them.
    """
    from scipy import stats

    if paired and len(ours) != len(theirs):
        raise ValueError(f"a paired test needs the same samples, got {len(ours)} and {len(theirs)}; use paired=False")
    if min(len(ours), len(theirs)) < 2:
        raise ValueError(f"a test needs at least 2 samples of each method, got {len(ours)} and {len(theirs)}")
    sign = 1 if higher_is_better else -1
    a, b = sign * ours.double().numpy(), sign * theirs.double().numpy()
    if paired and (a - b).std() == 0:
        return 0.0 if (a - b).mean() > 0 else 1.0
    if paired:
        return float(stats.ttest_rel(a, b, alternative="greater").pvalue)
    return float(stats.ttest_ind(a, b, equal_var=False, alternative="greater").pvalue)
