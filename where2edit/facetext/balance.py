"""Weights by which faces with and without a concept count alike, over all faces and within sex and age.

Legend: B faces, C concepts (each with two sides, 1 and 0), 5 groups: Male x Young (four), and unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.facetext.phrases import CONCEPTS, INDEX

UNKNOWN_GROUP = 4
GROUPS = 5


def group(truth: Tensor) -> Tensor:
    """The group [B] of each row of truth [B,C]."""
    male, young = truth[:, INDEX["Male"]], truth[:, INDEX["Young"]]
    return torch.where((male < 0) | (young < 0), UNKNOWN_GROUP, 2 * male + young)


class Balance:
    """Weights under which both sides of each concept have the same total, from running counts.

    within: the share of a concept's weight that is balanced inside each group of Male x Young; 0 balances over all
    faces only. The share of a group follows the harmonic mean of its two sides: a group with one side only says nothing
    about the contrast and gets none. decay: of the running counts, per batch.
    """

    def __init__(self, within: float, decay: float = 0.98):
        self.within, self.decay = torch.full((len(CONCEPTS), 1, 1), within), decay
        self.counts = torch.zeros(len(CONCEPTS), 2, GROUPS)
        self.steps = 0

    def inside(self, names: Sequence[str], within: float) -> None:
        """Set the share of weight inside Male x Young of some concepts."""
        self.within[[INDEX[name] for name in names]] = within

    def update(self, truth: Tensor) -> None:
        """Count one batch of truth [B,C]."""
        groups = F.one_hot(group(truth), GROUPS).float()
        sides = torch.stack([(truth == side).float() for side in (0, 1)], 2)
        self.counts.mul_(self.decay).add_((1 - self.decay) * torch.einsum("bcs,bg->csg", sides, groups).cpu())
        self.steps += 1

    def weights(self, truth: Tensor) -> Tensor:
        """Weight of every known entry of truth [B,C], 0 where unknown; a concept's weights sum to 1 on average."""
        counts = self.counts / (1 - self.decay ** max(self.steps, 1)) + 1e-3
        overall = 0.5 / counts.sum(2, keepdim=True).expand_as(counts)
        both = counts.prod(1) / counts.sum(1)
        share = both / both.sum(1, keepdim=True)
        table = (1 - self.within) * overall + self.within * 0.5 * share[:, None] / counts
        # Sex and age are what the groups are made of: inside a group there is no contrast to balance.
        for name in ("Male", "Young"):
            table[INDEX[name]] = overall[INDEX[name]]
        table = table.to(truth.device)
        concepts = torch.arange(truth.shape[1], device=truth.device)
        chosen = table[concepts, truth.clamp_min(0), group(truth)[:, None]]
        return torch.where(truth < 0, torch.zeros_like(chosen), chosen)
