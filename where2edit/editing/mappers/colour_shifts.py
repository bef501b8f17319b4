"""Latent shifts of the late sites that give a part of the face a colour, weighted by how close the prompt is to it.

The generator has no faces with purple hair, so that no direction of its latent space leads there; one shift per colour
is fitted to recoloured pictures before training (training/colour_fitting.py) and looked up here. Shifts act on the
sites after the blend site only, in a tail layer (editing/tail_layers.py): they change the colour of every strand of
hair and leave its shape alone. Ours, not the paper's.

Legend: B batch, D embedding width, P colours, S sites after the blend site, K principal components, r blend
resolution; 25 parts of a face.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.core.records import Condition
from where2edit.editing.face_parts import PARTS
from where2edit.editing.region_shares import BELONGS

CLOSE = (0.35, 0.7)  # cosines of h and a colour's embedding: up to the first no shift, from the second on all of it
FADE = 9  # cells over which a colour that fades goes from its part to nothing
ALONE = (0.7, 0.95)  # cosines between which everything but the colour fades out


class ColourShifts(nn.Module):
    """The weighted sum of the colours' shifts: alpha sum_p weight_p(h) colour_shifts_p, and that of their shrinkages.

    weight_p(h) = max_q closeness_q * closeness_p^2 / sum_q closeness_q^2, where closeness is the cosine of h and the
    colour's embedding, rescaled to [0,1] by CLOSE. The squares favour the closest colour: "purple lips" are close to
    red lips too. Parameters: colour_embeddings [P,D], colour_shifts [P,S,K], shrinkage [P,S,1], and colour_parts
    [P,25], which is 1 for the parts of a face that a colour changes, and colour_fades [P], 1 for colours that fade
    out towards the edge of their parts, as blush does; all start at 0, are fitted before training, and have no gradient
    in it.
    """

    def __init__(self, colours: int, text_dim: int, sites: tuple[str, ...], components: int):
        super().__init__()
        self.sites = sites
        self.colour_embeddings = nn.Parameter(torch.zeros(colours, text_dim))
        self.colour_shifts = nn.Parameter(torch.zeros(colours, len(sites), components))
        self.shrinkage = nn.Parameter(torch.zeros(colours, len(sites), 1))
        self.colour_parts = nn.Parameter(torch.zeros(colours, len(PARTS)))
        self.colour_fades = nn.Parameter(torch.zeros(colours))

    def alone(self, h: Tensor) -> Tensor:
        """1 where an embedding [B,D] names a colour and nothing else, 0 where it names none: [B,1]."""
        return _rescaled(self._cosines(h), *ALONE).amax(1, keepdim=True)

    def fading(self, condition: Condition) -> Tensor:
        """What is left of the other shifts where colours take their place [B,1]; all of them in reversed edits."""
        return torch.where(condition.strengths < 0, 1, 1 - self.alone(condition.h))

    def weights(self, h: Tensor) -> Tensor:
        """weight_p of each colour for embeddings [B,D]: [B,P] in [0,1]."""
        close = _rescaled(self._cosines(h), *CLOSE)
        square = close.square()
        return close.amax(1, keepdim=True) * square / square.sum(1, keepdim=True).clamp_min(1e-6)

    def forward(self, condition: Condition) -> dict[str, tuple[Tensor, Tensor]]:
        """A condition of length B -> {site: (shift [B,K], shrinkage [B,1])} at its strength, 0 where it is reversed."""
        weights = condition.strengths.clamp_min(0) * self.weights(condition.h)  # [B,P]
        # Weighted sums over the colours: [B,P] @ [P,K] and [B,P] @ [P,1].
        return {
            name: (weights @ self.colour_shifts[:, n].detach(), weights @ self.shrinkage[:, n].detach())
            for n, name in enumerate(self.sites)
        }

    def share(self, h: Tensor, cells: Tensor) -> Tensor:
        """Where the colours that h [B,D] names belong: [B,1,r,r] in [0,1].

        cells: share of each part of a face in every cell, [B,r,r,25]. A cell belongs to a colour where its parts take
        up half of it.
        """
        weights = self.weights(h)
        weights = weights / weights.sum(1, keepdim=True).clamp_min(1e-6)
        belongs = (cells @ self.colour_parts.detach().T >= BELONGS).to(cells).permute(0, 3, 1, 2)  # [B,P,r,r]
        faded = F.avg_pool2d(belongs, FADE, 1, FADE // 2)
        belongs = torch.lerp(belongs, faded, self.colour_fades.detach()[:, None, None])
        return torch.einsum("bprs,bp->brs", belongs, weights)[:, None]

    def _cosines(self, h: Tensor) -> Tensor:
        """Cosines of embeddings [B,D] with those of the colours: [B,P]."""
        return F.normalize(h, dim=1) @ F.normalize(self.colour_embeddings.detach(), dim=1).T


def _rescaled(x: Tensor, low: float, high: float) -> Tensor:
    """0 up to `low`, 1 from `high` on, a straight line between."""
    return ((x - low) / (high - low)).clamp(0, 1)
