"""Frechet Inception Distance (Heusel et al. 2017): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of Inception features.

Legend: N and M samples, D = 2048.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import EditBatch

WIDTH = 2048  # of the Inception features


def frechet(a: Tensor, b: Tensor) -> float:
    """FID of two feature sets [N,D] and [M,D] in double precision; nan where one of them has fewer than 2 rows.

    With fewer samples than features the trace of the root is the sum of the singular values of A B^T, a small matrix.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    a, b = a.double(), b.double()
    means = (a.mean(0) - b.mean(0)).square().sum()
    a, b = (a - a.mean(0)) / (len(a) - 1) ** 0.5, (b - b.mean(0)) / (len(b) - 1) ** 0.5
    traces = a.square().sum() + b.square().sum()
    if min(len(a), len(b)) < a.shape[1]:
        root = torch.linalg.svdvals(a @ b.T).sum()
    else:
        values, vectors = torch.linalg.eigh(a.T @ a)
        half = vectors * values.clamp(min=0).sqrt()
        root = torch.linalg.eigvalsh(half.T @ (b.T @ b) @ half).clamp(min=0).sqrt().sum()
    return float(means + traces - 2 * root)


@METRICS.register("fid_vs_unedited")
class FidVsUnedited(Metric):
    """FID of edited against unedited images, as in the released code. An edit that changes nothing scores 0."""

    higher_is_better = False
    needs = ("inception",)
    protocol = "FID between edited images and the same generated images unedited; TensorFlow Inception, PNG precision"
    width = 2 * WIDTH
    of_set = True
    fewest = 2

    def measure(self, batch: EditBatch) -> Tensor:
        return torch.cat([batch.before.embedding("inception"), batch.after.embedding("inception")], 1)

    def figure(self, values: Tensor) -> float:
        return frechet(values[:, :WIDTH], values[:, WIDTH:])


@METRICS.register("fid_vs_real")
class FidVsReal(Metric):
    """FID of edited images against real photos, whose features [M,2048] are the network `real_features`."""

    higher_is_better = False
    needs = ("inception", "real_features")
    protocol = "FID between edited images and a folder of real photos; TensorFlow Inception, PNG precision"
    width = WIDTH
    of_set = True
    fewest = 2

    def measure(self, batch: EditBatch) -> Tensor:
        return batch.after.embedding("inception")

    def figure(self, values: Tensor) -> float:
        return frechet(values, self.networks["real_features"].cpu())
