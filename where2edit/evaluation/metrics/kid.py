"""Kernel Inception Distance (Binkowski et al. 2018): squared MMD with the kernel (x.y / D + 1)^3.

Row i of both sets is the same picture before and after an edit, so the two sets are not independent. The estimate is
the U-statistic of Gretton et al. 2012, Eq. 4, which leaves out the pairs (i, i), has no bias, and is 0 for equal sets.

Legend: N pairs of pictures, D = 2048 features.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import EditBatch
from where2edit.evaluation.metrics.fid import WIDTH

SUBSET = 1000  # rows of one estimate, as torch-fidelity does it
SUBSETS = 100  # estimates that are averaged where there are more rows


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """KID of paired features [N,D], [N,D]: over all rows up to 1000, else the mean over 100 random subsets of 1000."""
    if len(a) < 2:
        return float("nan")
    if len(a) <= SUBSET:
        return float(mean_of_pairs(discrepancies(a, b)))
    draw = torch.Generator().manual_seed(0)
    picks = [torch.randperm(len(a), generator=draw)[:SUBSET] for _ in range(SUBSETS)]
    return float(torch.stack([mean_of_pairs(discrepancies(a[pick], b[pick])) for pick in picks]).mean())


def kernel(a: Tensor, b: Tensor) -> Tensor:
    """The kernel of every row of a [N,D] with every row of b [M,D]: [N,M]."""
    from torchmetrics.image.kid import poly_kernel

    return poly_kernel(a, b)


def discrepancies(a: Tensor, b: Tensor) -> Tensor:
    """k(a_i, a_j) + k(b_i, b_j) - k(a_i, b_j) - k(b_i, a_j): [N,N]."""
    cross = kernel(a, b)
    return kernel(a, a) + kernel(b, b) - cross - cross.T


def mean_of_pairs(square: Tensor) -> Tensor:
    """The mean over i != j of a matrix [N,N], N > 1."""
    return (square.sum() - square.diagonal().sum()) / (len(square) * (len(square) - 1))


@METRICS.register("kid_vs_unedited")
class KidVsUnedited(Metric):
    """KID of edited against unedited images: unlike FID unbiased, and so the one to read when n is small.

    Edits that change nothing score 0.
    """

    higher_is_better = False
    needs = ("inception",)
    protocol = "KID between edited images and the same generated images unedited; cubic kernel, U-statistic"
    width = 2 * WIDTH
    of_set = True
    fewest = 2

    def measure(self, batch: EditBatch) -> Tensor:
        return torch.cat([batch.before.embedding("inception"), batch.after.embedding("inception")], 1)

    def figure(self, values: Tensor) -> float:
        return kernel_distance(values[:, :WIDTH], values[:, WIDTH:])

    def figure_of_rows(self, values: Tensor) -> Callable[[Tensor], float]:
        if len(values) > SUBSET:
            return super().figure_of_rows(values)
        square = discrepancies(values[:, :WIDTH], values[:, WIDTH:])
        return lambda rows: float(mean_of_pairs(square[rows][:, rows]))
