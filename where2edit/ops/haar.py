"""The inverse Haar transform, by which MobileStyleGAN enlarges features and reads out its picture.

Legend: B batch, C channels written, r resolution read.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.ops.extension import Impl, check_impl


def inverse_haar(x: Tensor, channels: int, impl: Impl = "auto") -> Tensor:
    """[B,4C,h,w] -> [B,C,2h,2w]: the first C are the low-pass band, the rest [C,3] the lh, hl and hh bands.

    impl: "reference" is differentiable; "fast" writes each of the four results in place and is not; "auto" takes it
    where no gradient is asked for.
    """
    check_impl(impl)
    low, high = x[:, :channels], x[:, channels:].unflatten(1, (channels, 3))
    lh, hl, hh = high.unbind(2)
    even, odd = (low + lh, hl + hh), (low - lh, hl - hh)
    if impl == "reference" or (impl == "auto" and x.requires_grad):
        rows = [torch.stack((a + b, a - b), dim=-1).flatten(-2) for a, b in (even, odd)]
        return 0.5 * torch.stack(rows, dim=-2).flatten(-3, -2)
    flat = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    out = torch.empty(
        (len(x), channels, 2 * x.shape[2], 2 * x.shape[3]),
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.channels_last if flat else torch.contiguous_format,
    )
    for row, (a, b) in enumerate((even, odd)):
        torch.add(a, b, out=out[:, :, row::2, 0::2])
        torch.sub(a, b, out=out[:, :, row::2, 1::2])
    return out.mul_(0.5)
