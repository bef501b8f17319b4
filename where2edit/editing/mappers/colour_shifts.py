"""Latent shifts that give a part of the face a colour, each weighted by how close the prompt is to that colour.

The generator has no faces with purple hair, so that no direction of its latent space leads there; one shift per colour
is fitted to recoloured pictures before training (training/colour_fitting.py) and looked up here. Ours, not the paper's.

Legend: B batch, D embedding width, P colours, S recoloured sites, K principal components.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.core.records import Condition

CLOSE = (0.35, 0.7)  # cosines of h and a colour's embedding: up to the first no shift, from the second on all of it
ALONE = (0.7, 0.95)  # cosines between which everything but the colour fades out


@dataclass(frozen=True)
class ColourShift:
    """The colour shifts of a condition: {site: (shift [B,K], shrinkage [B,1])} for the recoloured sites.

    `alone` [B,1] in [0,1]: 1 where the prompt names a colour and nothing else.
    """

    sites: dict[str, tuple[Tensor, Tensor]]
    alone: Tensor


class ColourShifts(nn.Module):
    """The weighted sum of the colours' shifts: alpha sum_p weight_p(h) colour_shifts_p, and that of their shrinkages.

    weight_p(h) = max_q closeness_q * closeness_p^2 / sum_q closeness_q^2, where closeness is the cosine of h and the
    colour's embedding, rescaled to [0,1] by CLOSE. The squares favour the closest colour: "purple lips" are close to
    red lips too. Parameters: colour_embeddings [P,D], colour_shifts [P,S,K], shrinkage [P,S,1]; all start at 0, are
    fitted before training, and have no gradient in it.
    """

    def __init__(self, colours: int, text_dim: int, sites: tuple[str, ...], components: int):
        super().__init__()
        self.sites = sites
        self.colour_embeddings = nn.Parameter(torch.zeros(colours, text_dim))
        self.colour_shifts = nn.Parameter(torch.zeros(colours, len(sites), components))
        self.shrinkage = nn.Parameter(torch.zeros(colours, len(sites), 1))

    def forward(self, condition: Condition) -> ColourShift:
        """The shift of a condition of length B, at its strength."""
        # How close each prompt is to each colour.
        embeddings = F.normalize(self.colour_embeddings.detach(), dim=1)
        cosines = F.normalize(condition.h, dim=1) @ embeddings.T  # [B,P]
        close, alone = (_rescaled(cosines, *ends) for ends in (CLOSE, ALONE))
        # The weight of each colour at the condition's strength.
        square = close.square()
        weight = close.amax(1, keepdim=True) * square / square.sum(1, keepdim=True).clamp_min(1e-6)
        weight = condition.strength * weight  # [B,P]
        # Weighted sums over the colours: [B,P] @ [P,K] and [B,P] @ [P,1].
        sites = {
            name: (weight @ self.colour_shifts[:, n].detach(), weight @ self.shrinkage[:, n].detach())
            for n, name in enumerate(self.sites)
        }
        return ColourShift(sites, alone.amax(1, keepdim=True))


def _rescaled(x: Tensor, low: float, high: float) -> Tensor:
    """0 up to `low`, 1 from `high` on, a straight line between."""
    return ((x - low) / (high - low)).clamp(0, 1)
