"""The area under the ROC curve, embeddings in batches, and the quick figures of a running training.

Legend: N pictures of s x s pixels, B of a batch, D embedding width, A = 40 attributes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from where2edit.facetext.caption_bank import CaptionBank


def auc(scores: Tensor, truth: Tensor) -> float:
    """Area under the ROC curve of scores [N] against truth [N], with ties counted half.

    truth is 1, 0 or -1 for unknown, which is left out; the result is nan where all known entries are alike.
    """
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
def embed(tower: Callable[[Tensor], Tensor], photos: Tensor, batch: int = 50) -> Tensor:
    """Outputs [N,D] of a tower (images in [-1,1] -> [B,D]) for uint8 pictures [N,3,s,s], in batches of `batch`."""
    return torch.cat([tower(photos[i : i + batch].float() / 127.5 - 1) for i in range(0, len(photos), batch)])


@torch.no_grad()
def mean_auc(towers: nn.Module, bank: CaptionBank, photos: Tensor, values: Tensor) -> dict[str, float]:
    """Quick figures of the towers during training: mean AUC over the attributes, and the lowest.

    Each attribute is scored by its first trained affirmation. photos uint8 [N,3,s,s], values uint8 [N,A].
    """
    towers.eval()
    device = next(towers.parameters()).device
    images = embed(lambda x: towers.image_tower(x.to(device)).cpu(), photos)
    rows = torch.stack([bank.by_side[2 * i + 1][0] for i in range(values.shape[1])])
    text = towers.text_head(bank.features[rows].to(device)).cpu()
    return _summary(torch.tensor([auc(images @ t, values[:, i].long()) for i, t in enumerate(text)]))


@torch.no_grad()
def judge_auc(judge: nn.Module, photos: Tensor, values: Tensor) -> dict[str, float]:
    """Quick figures of the judge during training: mean AUC over the attributes, and the lowest.

    photos uint8 [N,3,s,s], values uint8 [N,A].
    """
    device = next(judge.parameters()).device
    logits = embed(lambda x: judge.eval()(x.to(device)).cpu(), photos)
    return _summary(torch.tensor([auc(logits[:, i], values[:, i].long()) for i in range(values.shape[1])]))


def _summary(figures: Tensor) -> dict[str, float]:
    """Mean over the attributes that have both classes, and the lowest figure."""
    return {"auc": float(figures.nanmean()), "lowest": float(figures.nan_to_num(1).min())}
