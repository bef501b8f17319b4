"""screened: a smooth correction hides the step between edit and source at the rim of the mask. Ours, not the paper's.

Skin tone and light of the edited features differ slightly from the source's, which shows at the rim of the mask. Inside
the mask (cells with M > 0) the correction c that is added to the edited features solves the screened Laplace equation

    sum over the neighbours j of i of (c_i - c_j) + screening c_i = 0,    c = source - edited on the cells just outside,

one equation per cell and channel, with the four neighbours that lie in the picture. Without screening (0) this is the
membrane of Poisson blending (Perez et al. 2003), which carries the difference at the rim through the whole mask and
dulls what should change, such as the colour of hair; with it the correction fades within a few cells of the rim.

Legend: B samples, C channels, r cells of a side, n cells inside the mask, p pairs of neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
import torch
from torch import Tensor

from where2edit.core.bounds import Bounds
from where2edit.core.devices import sent
from where2edit.editing.seams import SEAMS
from where2edit.editing.seams.base import Seam
from where2edit.ops.extension import Impl, check_impl


@dataclass(frozen=True)
class ScreenedOptions:
    """Options of the seam `screened`."""

    # Per cell; the correction falls to a third within 1/sqrt(screening) cells, about 2.6.
    screening: Annotated[float, Bounds(0, 1000, note="0: membrane")] = 0.15
    impl: Impl = "auto"  # fast: one sparse factorisation for all channels; reference: a dense system

    def __post_init__(self):
        check_impl(self.impl)


@SEAMS.register("screened", options=ScreenedOptions)
class ScreenedSeam(Seam):
    """edited + c, where c solves the screened Laplace equation inside the mask; differentiable in both canvases."""

    def __init__(self, options: ScreenedOptions):
        self.options = options

    def __call__(self, edited: Tensor, source: Tensor, mask: Tensor) -> Tensor:
        inside = (mask[:, 0] > 0).cpu()  # [B,r,r]; here the system is built, and a GPU is waited for once
        samples = zip(edited, source.to(edited), inside, strict=True)
        return torch.stack([self._corrected(*sample) for sample in samples])

    def _corrected(self, edited: Tensor, source: Tensor, inside: Tensor) -> Tensor:
        """One sample: edited, source [C,r,r], inside bool [r,r] on the CPU."""
        if inside.all() or not inside.any():
            return edited
        system = _system(inside)
        # What each inside cell sees of the difference on the cells just outside: [n,C].
        seen = edited.new_zeros(len(edited), len(system.degree))
        # One way after the other: no cell twice, so that the order of a sum is fixed.
        for cells, rim in (sent(each, edited) for each in system.rims):
            difference = source.flatten(1)[:, rim] - edited.flatten(1)[:, rim]
            seen = seen.index_add(1, cells, difference)
        solve = _solve_dense if self.options.impl == "reference" else _SparseSolve.apply
        c = solve(seen.T.double(), system, self.options.screening).to(edited)
        at = sent(inside.flatten().nonzero().flatten(), edited)
        return edited.flatten(1).index_add(1, at, c.T).view_as(edited)


class _System(NamedTuple):
    """The equations of the cells inside a mask, which have the numbers 0 to n-1 in the picture's order; on the CPU."""

    degree: Tensor  # neighbours of each that lie in the picture, float64 [n]
    pairs: Tensor  # numbers of neighbours that are both inside, each pair once [2,p]
    rims: tuple[Tensor, ...]  # for each way: number of an inside cell, place of its neighbour outside [2,.]


def _system(inside: Tensor) -> _System:
    """The equations of a mask, bool [r,r]."""
    place = torch.arange(inside.numel(), device=inside.device).view(inside.shape)
    flat = inside.flatten()
    number = flat.cumsum(0) - 1  # of an inside cell, by its place
    degree, pairs, rims = flat.new_zeros(int(flat.sum()), dtype=torch.float64), [], []
    for low, high in ((place[:, :-1], place[:, 1:]), (place[:-1], place[1:])):
        for one, other in ((low.flatten(), high.flatten()), (high.flatten(), low.flatten())):
            one, other = one[flat[one]], other[flat[one]]
            degree[number[one]] += 1
            rims.append(torch.stack([number[one], other])[:, ~flat[other]])
        pairs.append(number[torch.stack([one, other])][:, flat[other]])
    return _System(degree, torch.cat(pairs, 1), tuple(rims))


def _solve_dense(rhs: Tensor, system: _System, screening: float) -> Tensor:
    """rhs [n,C] in float64 -> the solution [n,C], by a dense system."""
    matrix, (one, other) = torch.diag(system.degree + screening), system.pairs
    matrix[one, other] = matrix[other, one] = -1.0
    return torch.linalg.solve(matrix.to(rhs.device), rhs)


class _SparseSolve(torch.autograd.Function):
    """`_solve_dense` by a sparse factorisation on the CPU; its gradient is a solution too (a symmetric matrix)."""

    @staticmethod
    def forward(ctx, rhs: Tensor, system: _System, screening: float) -> Tensor:
        from scipy.sparse import coo_matrix
        from scipy.sparse.linalg import splu

        diagonal, (one, other) = (x.numpy() for x in (system.degree + screening, system.pairs))
        n = len(diagonal)
        values = np.concatenate([diagonal, np.full(2 * len(one), -1.0)])
        rows, columns = (np.concatenate([np.arange(n), *ends]) for ends in ((one, other), (other, one)))
        ctx.factor = splu(coo_matrix((values, (rows, columns)), shape=(n, n)).tocsc())
        return _apply(ctx.factor, rhs)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _apply(ctx.factor, gradient), None, None


def _apply(factor, rhs: Tensor) -> Tensor:
    """The solution for a right-hand side [n,C], on its device."""
    return torch.from_numpy(factor.solve(rhs.detach().cpu().numpy())).to(rhs)
