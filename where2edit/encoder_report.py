"""Figures of facetext and of the judge on the validation tenth and on generated faces.

Legend: N pictures, P prompts, D embedding width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def auc(scores: Tensor, truth: Tensor) -> float:
    """Area under the ROC curve of scores [N] against truth [N] (1, 0; -1 is left out), ties counted half; nan if one-sided."""
    known = truth >= 0
    scores, positive = scores[known].double(), truth[known] == 1
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return float("nan")
    _, inverse, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    ends = counts.cumsum(0)
    ranks = (ends - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


@torch.no_grad()
def embed(tower: torch.nn.Module, photos: Tensor, batch: int = 100) -> Tensor:
    """Embeddings [N,D] of uint8 pictures [N,3,s,s], on the CPU."""
    device = next(tower.parameters()).device
    parts = [tower(photos[i : i + batch].to(device).float() / 127.5 - 1).cpu() for i in range(0, len(photos), batch)]
    return torch.cat(parts)


@torch.no_grad()
def mean_auc(towers, bank, photos: Tensor, values: Tensor) -> dict[str, float]:
    """Quick figures during training: mean over the attributes of the AUC of one trained affirmation each, and the lowest."""
    towers.eval()
    images = embed(towers.image_tower, photos)
    rows = torch.stack([bank.by_side[2 * i + 1][0] for i in range(values.shape[1])])
    text = towers.text_head(bank.features[rows].to(next(towers.parameters()).device)).cpu()
    figures = torch.tensor([auc(images @ t, values[:, i].long()) for i, t in enumerate(text)])
    return {"auc": float(figures.nanmean()), "lowest": float(figures.nan_to_num(1).min())}


@torch.no_grad()
def judge_auc(judge, photos: Tensor, values: Tensor) -> dict[str, float]:
    """Quick figures of the judge: mean AUC over the attributes, and the lowest."""
    logits = embed(judge.eval(), photos)
    figures = torch.tensor([auc(logits[:, i], values[:, i].long()) for i in range(values.shape[1])])
    return {"auc": float(figures.nanmean()), "lowest": float(figures.nan_to_num(1).min())}
