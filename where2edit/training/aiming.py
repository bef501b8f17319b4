"""Aim the mapper before training: where in W do faces lie of which the encoder says what the words say?

The encoder's embedding of a generated face is regressed on the face's principal coordinates, e ~ A c. The row h A is
then the average gradient of the cosine to h over all faces (Stein's identity; coordinates are about normal), so that it
points where the words are true for most, while single steps of training point where they are true for one picture.
Three minutes of looking at faces replace some thousand steps. Ours, not the paper's.

Legend: N faces, K principal components, D embedding width.
"""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from where2edit.core import distributed
from where2edit.editing.mapper import PrincipalMapper
from where2edit.methods.base import Method
from where2edit.text_image.base import TextImage

BATCH = 4
TRUNCATION = 0.85  # wide enough for hats, glasses and beards to turn up
RIDGE = 0.1  # beside the variance of a coordinate, which is TRUNCATION squared


@torch.no_grad()
def aim(method: Method, encoder: TextImage, faces: int, seed: int, use_preview_head: bool) -> None:
    """Set `method.mapper.axes` [D,K] from `faces` generated faces (rounded up to batches); processes share the work.

    `use_preview_head` looks at the preview head's small pictures. Raises ValueError for a mapper without axes.
    """
    mapper = getattr(method, "mapper", None)
    if not isinstance(mapper, PrincipalMapper) or mapper.axes is None:
        raise ValueError("method.mapper.aim needs method.mapper.space=w_principal; set method.mapper.aim=0")
    d, k = mapper.axes.shape
    moments = mapper.scales.new_zeros(1 + k, 1 + k + d, dtype=torch.float64)
    for number in tqdm(range(math.ceil(faces / BATCH)), desc="aim", disable=distributed.rank() > 0):
        if number % distributed.world() == distributed.rank():
            moments += _moments(*_look(method, mapper, encoder, seed * 1_000_003 + number, use_preview_head))
    if distributed.world() > 1:
        dist.all_reduce(moments)
    axes = regression(moments, k)
    mapper.axes.copy_(axes / axes.std())  # only directions count; at this size a step of Adam turns them gently


def _look(
    method: Method, mapper: PrincipalMapper, encoder: TextImage, seed: int, use_preview_head: bool
) -> tuple[Tensor, Tensor]:
    """Coordinates [N,K] and unit embeddings [N,D] of one batch of faces."""
    z = torch.randn(BATCH, 512, generator=torch.Generator().manual_seed(seed)).to(mapper.scales)
    source = method.source(method.latents(z, TRUNCATION), use_preview_head)
    return mapper.coordinates(source.w[:, 0]), F.normalize(encoder.image(source.image).float(), dim=1)


def _moments(c: Tensor, e: Tensor) -> Tensor:
    """All second moments [1+K, 1+K+D] of (1, c) with (1, c, e), in float64 so that their order does not matter."""
    left = torch.cat([torch.ones_like(c[:, :1]), c], dim=1).double()
    return left.T @ torch.cat([left, e.double()], dim=1)


def regression(moments: Tensor, k: int) -> Tensor:
    """Ridge regression of e on c from their moments [1+K,1+K+D] -> A [D,K], the intercept left out."""
    n, centred = moments[0, 0], moments - moments[:, :1] * moments[:1] / moments[0, 0]
    square = centred[1:, 1 : 1 + k] / n + RIDGE * torch.eye(k).to(moments)
    return torch.linalg.solve(square, centred[1:, 1 + k :] / n).T.float()
