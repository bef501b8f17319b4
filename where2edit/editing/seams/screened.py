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
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.bounds import Bounds
from where2edit.editing.seams import SEAMS
from where2edit.editing.seams.base import Seam
from where2edit.ops.extension import Impl, check_impl

NEIGHBOURS = ((0, 1, 0), (1, 0, 1), (0, 1, 0))


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
        inside = mask[:, 0] > 0  # [B,r,r]
        samples = zip(edited, source.to(edited), inside, strict=True)
        return torch.stack([self._corrected(*sample) for sample in samples])

    def _corrected(self, edited: Tensor, source: Tensor, inside: Tensor) -> Tensor:
        """One sample: edited, source [C,r,r], inside bool [r,r]."""
        if inside.all() or not inside.any():
            return edited
        # What each inside cell sees of the difference on the cells just outside: [n,C].
        outside = torch.where(inside, 0, source - edited)
        seen = _neighbour_sum(outside)[:, inside].T.double()
        solve = _solve_dense if self.options.impl == "reference" else _SparseSolve.apply
        c = solve(seen, inside, self.options.screening).to(edited)
        return edited.index_put((torch.arange(len(edited))[:, None], *_cells(inside)), edited[:, inside] + c.T)


def _cells(inside: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns [1,n] of the inside cells, in the order of boolean indexing."""
    rows, columns = inside.nonzero(as_tuple=True)
    return rows[None], columns[None]


def _neighbour_sum(x: Tensor) -> Tensor:
    """The sum over the four neighbours that lie in the picture: [C,r,r] -> [C,r,r]."""
    kernel = x.new_tensor(NEIGHBOURS)[None, None]
    return F.conv2d(x[:, None], kernel, padding=1)[:, 0]


def _system(inside: Tensor, screening: float) -> tuple[Tensor, Tensor]:
    """The diagonal [n] of the system, and its pairs of neighbouring inside cells [2,p], each pair once."""
    number = torch.full(inside.shape, -1, device=inside.device)
    number[inside] = torch.arange(int(inside.sum()), device=inside.device)
    pairs = []
    for one, other in ((number[:, :-1], number[:, 1:]), (number[:-1], number[1:])):
        both = (one >= 0) & (other >= 0)
        pairs.append(torch.stack([one[both], other[both]]))
    diagonal = _neighbour_sum(torch.ones_like(inside, dtype=torch.float64)[None])[0][inside] + screening
    return diagonal, torch.cat(pairs, dim=1)


def _solve_dense(rhs: Tensor, inside: Tensor, screening: float) -> Tensor:
    """rhs [n,C] in float64 -> the solution [n,C], by a dense system."""
    diagonal, (one, other) = _system(inside, screening)
    matrix = torch.diag(diagonal)
    matrix[one, other] = matrix[other, one] = -1.0
    return torch.linalg.solve(matrix, rhs)


class _SparseSolve(torch.autograd.Function):
    """`_solve_dense` by a sparse factorisation on the CPU; its gradient is a solution too (a symmetric matrix)."""

    @staticmethod
    def forward(ctx, rhs: Tensor, inside: Tensor, screening: float) -> Tensor:
        from scipy.sparse import coo_matrix
        from scipy.sparse.linalg import splu

        diagonal, pairs = (x.cpu().numpy() for x in _system(inside, screening))
        n, (one, other) = len(diagonal), pairs
        values = [*diagonal, *[-1.0] * (2 * len(one))]
        rows, columns = ([*range(n), *a, *b] for a, b in ((one, other), (other, one)))
        ctx.factor = splu(coo_matrix((values, (rows, columns)), shape=(n, n)).tocsc())
        return _apply(ctx.factor, rhs)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _apply(ctx.factor, gradient), None, None


def _apply(factor, rhs: Tensor) -> Tensor:
    """The solution for a right-hand side [n,C], on its device."""
    return torch.from_numpy(factor.solve(rhs.detach().cpu().numpy())).to(rhs)
