"""The principal components of W: the directions in which a generator's faces vary most, and by how much.

They depend on the mapping network alone and take seconds to measure, so that they are kept in the cache.

Legend: K principal components, W numbers of w.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from where2edit.files.fingerprints import network_sha256
from where2edit.files.kept import kept
from where2edit.generators.base import Generator

MAPPED_AT_ONCE = 5000  # z that are mapped in one batch
SMALLEST_VARIANCE = 1e-12  # of a component: below it the generator does not vary, and 1/scale must stay finite
KIND = "directions"  # of what is kept of them in the cache


@dataclass(frozen=True)
class Basis:
    """Principal coordinates x of W, in which a generated face is a sample of N(0,1): w = mean + (x scales) V^T."""

    mean: Tensor  # [512]
    directions: Tensor  # V [512,K], orthonormal
    scales: Tensor  # [K]

    def coordinates(self, w: Tensor) -> Tensor:
        """w [...,512] -> x [...,K]."""
        return (w - self.mean) @ self.directions / self.scales

    def w(self, x: Tensor) -> Tensor:
        """x [...,K] -> w [...,512]."""
        return self.mean + (x * self.scales) @ self.directions.T


def principal_directions(generator: Generator, components: int, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """The first K eigenvectors V [W,K] of the covariance of w, and the square roots of their eigenvalues [K].

    Measured on `samples` random z of `seed`; the largest entry of each direction is positive. Raises ValueError where
    K, `components`, is more than the numbers of w.
    """
    if not 1 <= components <= generator.w_dim:
        raise ValueError(f"method.mapper.options.components is {components}; allowed: 1 to {generator.w_dim}")
    shapes = {"directions": (components, generator.w_dim), "scales": (components,)}
    made_from = [network_sha256(generator), components, samples, seed]
    tensors = kept(KIND, made_from, shapes, lambda: measured(generator, components, samples, seed))
    return tensors["directions"].to(generator.w_mean).T, tensors["scales"].to(generator.w_mean)


def measured(generator: Generator, components: int, samples: int, seed: int) -> dict[str, Tensor]:
    """`directions` V^T [K,W], as they lie in memory, and `scales` [K], measured anew."""
    values, vectors = torch.linalg.eigh(_covariance(generator, samples, seed))  # in rising order
    vectors = vectors.flip(1)[:, :components]
    signs = vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
    scales = values.flip(0)[:components].clamp_min(SMALLEST_VARIANCE).sqrt()
    return {"directions": (vectors * signs).to(generator.w_mean).T, "scales": scales.to(generator.w_mean)}


@torch.no_grad()
def _covariance(generator: Generator, samples: int, seed: int) -> Tensor:
    """Covariance [W,W] of w around its mean, in float64."""
    random = torch.Generator().manual_seed(seed)
    total, count = torch.zeros(generator.w_dim, generator.w_dim, dtype=torch.float64), 0
    while count < samples:
        z = torch.randn(min(MAPPED_AT_ONCE, samples - count), generator.z_dim, generator=random)
        centred = (generator.mapping(z.to(generator.w_mean)) - generator.w_mean).double().cpu()
        total += centred.T @ centred
        count += len(z)
    return total / count
