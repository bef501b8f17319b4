"""Semantic directions: ridge regression of the encoder's embeddings on latent coordinates, before training.

Over generated faces, the unit embedding e of the picture is regressed on the principal coordinates c of its latent,
e = A c + intercept. The row h A of an embedding h is the semantic direction of its text: since coordinates are about
normal, it is the average gradient of the cosine of picture and text over all faces (Stein's identity), where one step
of training sees the gradient at one face. Ours, not the paper's.

Legend: N faces, K principal components, D embedding width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from where2edit.core import distributed
from where2edit.core.distributed import step_seed, sum_over_processes
from where2edit.editing.mappers.w_principal import PrincipalMapper
from where2edit.methods.base import Method
from where2edit.text_image.base import TextImage

BATCH = 4  # faces that are generated at once
TRUNCATION = 0.85  # wide enough for hats, glasses and beards to turn up
RIDGE = 0.1  # added to the variance of each coordinate, which is about TRUNCATION squared


@torch.no_grad()
def fit_semantic_directions(
    method: Method, encoder: TextImage, faces: int, seed: int, use_preview_head: bool = False
) -> None:
    """Set `method.mapper.semantic_directions` A [D,K] from `faces` generated faces, rounded up to whole batches.

    Processes share the faces. `use_preview_head` embeds the preview head's small pictures. Raises ValueError for a
    mapper without semantic directions.
    """
    mapper = getattr(method, "mapper", None)
    if not isinstance(mapper, PrincipalMapper) or mapper.semantic_directions is None:
        raise ValueError(
            "semantic directions need method.mapper.name=w_principal and method.mapper.options.direction_faces above 0"
        )
    d, k = mapper.semantic_directions.shape
    moments = mapper.scales.new_zeros(1 + k, 1 + k + d, dtype=torch.float64)
    for number in tqdm(range(math.ceil(faces / BATCH)), desc="semantic directions", disable=distributed.rank() > 0):
        if number % distributed.world() == distributed.rank():
            moments += second_moments(*_observe(method, encoder, step_seed(seed, number), use_preview_head))
    directions = ridge_regression(sum_over_processes(moments), k)
    # Only directions count: (h A) is normalised. With a standard deviation of 1 a step of Adam turns them gently.
    mapper.semantic_directions.copy_(directions / directions.std())


def _observe(method: Method, encoder: TextImage, seed: int, use_preview_head: bool) -> tuple[Tensor, Tensor]:
    """Coordinates c [BATCH,K] and unit embeddings e [BATCH,D] of one batch of generated faces."""
    mapper, random = method.mapper, torch.Generator().manual_seed(seed)
    z = torch.randn(BATCH, method.frozen.generator.z_dim, generator=random).to(mapper.scales)
    source = method.source(method.latents(z, TRUNCATION), use_preview_head)
    return mapper.coordinates(source.w[:, 0]), F.normalize(encoder.image(source.image).float(), dim=1)


def second_moments(c: Tensor, e: Tensor) -> Tensor:
    """Sums over N faces of the products of (1, c) with (1, c, e): c [N,K], e [N,D] -> [1+K,1+K+D].

    In float64, so that the order of batches and processes does not matter.
    """
    left = torch.cat([torch.ones_like(c[:, :1]), c], dim=1).double()  # [N,1+K]
    return left.T @ torch.cat([left, e.double()], dim=1)


def ridge_regression(moments: Tensor, k: int) -> Tensor:
    """Ridge regression of e on c from their moments [1+K,1+K+D] -> A [D,K]; the intercept is left out.

    A = cov(e, c) (cov(c, c) + RIDGE I)^-1.
    """
    n = moments[0, 0]
    centred = moments - moments[:, :1] * moments[:1] / n
    covariance = centred[1:, 1 : 1 + k] / n + RIDGE * torch.eye(k).to(moments)  # [K,K]
    return torch.linalg.solve(covariance, centred[1:, 1 + k :] / n).T.float()
