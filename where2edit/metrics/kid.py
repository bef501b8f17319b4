"""Kernel Inception Distance (Binkowski et al. 2018): unbiased squared MMD with the kernel (x.y / D + 1)^3."""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.metrics import METRICS
from where2edit.metrics.base import Case, Metric
from where2edit.metrics.fid import WIDTH

SUBSET = 1000
SUBSETS = 100


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """KID of feature sets [N,D], [N,D]: over all rows up to 1000, else the mean over 100 random subsets of 1000."""
    from torchmetrics.image.kid import poly_mmd

    if len(a) < 2:
        return float("nan")
    if len(a) <= SUBSET:
        return float(poly_mmd(a, b))
    draw = torch.Generator().manual_seed(0)
    picks = [[torch.randperm(len(a), generator=draw)[:SUBSET] for _ in (a, b)] for _ in range(SUBSETS)]
    return float(torch.stack([poly_mmd(a[i], b[j]) for i, j in picks]).mean())


@METRICS.register("kid_vs_unedited")
class KidVsUnedited(Metric):
    """As `fid_vs_unedited`, but without bias in the number of samples: the one to read when n is small."""

    higher_is_better = False
    needs = ("inception",)
    protocol = "KID between edited images and the same generated images unedited; cubic kernel, unbiased"
    width = 2 * WIDTH
    of_set = True

    def measure(self, case: Case) -> Tensor:
        return torch.cat([case.before.embedding("inception"), case.after.embedding("inception")], 1)

    def figure(self, values: Tensor) -> float:
        return kernel_distance(values[:, :WIDTH], values[:, WIDTH:])
