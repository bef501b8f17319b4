"""Ordinary and transposed convolution, with a variant in which an output's bits depend on its receptive field only.

cuDNN is free to choose Winograd or Fourier algorithms, in which neighbouring outputs share rounding, and another
algorithm for another batch size. `local=True` takes unfold + matrix product per sample on a GPU, where an output is
one dot product of its own receptive field. `local="checked"` takes cuDNN wherever a trial finds that it is local too,
which is several times faster. On a CPU all are the library's direct convolution.

Legend: B batch, I and O input and output channels, k kernel size, H x W pixels.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.ops.locality import found_local

Local = bool | Literal["checked"]


def convolution(x: Tensor, weight: Tensor, up: int = 1, local: Local = False) -> Tensor:
    """x [B,I,H,W], weight [O,I,k,k] -> [B,O,H,W] with zero padding k//2, or for up=2 transposed, [B,O,2H-2+k,2W-2+k].

    Differentiable any number of times. local: exact locality on CUDA whatever the batch, at a cost in time; "checked":
    at that cost only where cuDNN does not give it. Raises ValueError for another `up`.
    """
    if up not in (1, 2):
        raise ValueError(f"convolution takes up 1 or 2, got {up}")
    if local and x.is_cuda and not (local == "checked" and found_local(library, x, weight, up)):
        return unfolded(x, weight, up)
    return library(x, weight, up)


def library(x: Tensor, weight: Tensor, up: int) -> Tensor:
    """`convolution` as the library of the device does it."""
    if up == 2:
        return F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    return F.conv2d(x, weight, padding=weight.shape[-1] // 2)


def unfolded(x: Tensor, weight: Tensor, up: int) -> Tensor:
    """`convolution` by unfold and matrix product, sample by sample, on any device."""
    kernel = weight.shape[-1]
    if up == 2:
        return torch.ops.aten.slow_conv_transpose2d(x, weight.transpose(0, 1), [kernel, kernel], None, [2, 2])
    return torch.ops.aten.thnn_conv2d(x, weight, [kernel, kernel], None, [1, 1], [kernel // 2, kernel // 2])
