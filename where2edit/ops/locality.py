"""Whether a convolution is local: found out by trying, once in a process for each shape and way of computing.

A library may choose an algorithm in which neighbouring outputs share rounding (Winograd, Fourier), or another one for
another batch size. What it chooses for a shape it chooses again, so that a trial on random numbers tells.

Legend: B batch, I and O input and output channels, k kernel size, H x W pixels.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

MASKS = 4  # places that are changed in a trial, each by itself
Convolve = Callable[[Tensor, Tensor, int], Tensor]  # x [B,I,H,W], weight [O,I,k,k], up -> [B,O,.,.]
_known: dict[tuple, bool] = {}


def found_local(convolve: Convolve, x: Tensor, weight: Tensor, up: int) -> bool:
    """`is_local` for tensors like these, tried once; a warning says where it is not."""
    key = (*switches(), x.device, x.dtype, x.shape, x.stride(), weight.shape, weight.stride(), up)
    if key not in _known:
        _known[key] = is_local(convolve, x, weight, up)
        if not _known[key]:
            layer = f"{x.dtype} {list(x.shape)} with weights {list(weight.shape)}"
            warnings.warn(f"the library's convolution of {layer} is not local: a slower one is taken", stacklevel=4)
    return _known[key]


def switches() -> tuple[bool, ...]:
    """Torch's own switches by which a GPU's libraries choose other algorithms."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    chosen = (cudnn.enabled, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic, matmul.allow_tf32)
    return (*chosen, torch.are_deterministic_algorithms_enabled())


@torch.no_grad()
def is_local(convolve: Convolve, x: Tensor, weight: Tensor, up: int) -> bool:
    """Whether an output keeps its bits when inputs that it does not read change, and when samples are alone.

    x and weight say shapes, layout and number type; the numbers of x are not read.
    """
    random = torch.Generator().manual_seed(0)
    plain = torch.empty_like(x).copy_(torch.randn(x.shape, generator=random))
    expected = convolve(plain, weight, up)
    for row in {0, len(x) - 1}:
        if not torch.equal(convolve(plain[row : row + 1], weight, up), expected[row : row + 1]):
            return False
    ones = torch.ones(1, 1, *weight.shape[2:])
    for _ in range(MASKS):
        changed = _place(*x.shape[2:], random)
        read = F.conv_transpose2d(changed, ones, stride=2) if up == 2 else F.conv2d(changed, ones, padding="same")
        found = convolve(torch.where(changed.to(x.device) > 0, -2 * plain, plain), weight, up)
        outside = (read < 0.5).to(x.device).expand_as(expected)
        if not torch.equal(found[outside], expected[outside]):
            return False
    return True


def _place(height: int, width: int, random: torch.Generator) -> Tensor:
    """A random rectangle of at most a quarter of the pixels that is 1, in zeros [1,1,H,W]."""
    place = torch.zeros(1, 1, height, width)
    (top, left), share = torch.rand(2, generator=random).tolist(), torch.rand((), generator=random).item() / 2
    rows, columns = (
        slice(int(at * n), int(at * n) + max(1, int(share * n))) for at, n in ((top, height), (left, width))
    )
    place[..., rows, columns] = 1
    return place
