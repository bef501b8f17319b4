"""Upsample by zeros, pad, filter, downsample (Karras et al. 2020): the blur and the RGB skip of StyleGAN2.

Legend: B batch, C channels, H x W pixels, h x w filter taps. The derivative of this operation is this operation, with
up and down exchanged.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.ops.bias_act import channels_last, dense
from where2edit.ops.extension import Impl, use_fast

Padding = tuple[int, int, int, int]  # left, right, top, bottom, in upsampled pixels; negative crops


def upfirdn2d(
    x: Tensor,
    fir: Tensor,
    *,
    up: int = 1,
    down: int = 1,
    padding: Padding = (0, 0, 0, 0),
    gain: float = 1.0,
    impl: Impl = "auto",
) -> Tensor:
    """Insert up-1 zeros after every pixel, pad, convolve with gain * fir, keep every down-th pixel.

    x: [B,C,H,W]; fir: [h,w], a constant (no gradient flows into it). The size of the result is `out_size`.
    Differentiable any number of times in x. Raises ValueError for shapes that do not fit and a result without pixels.
    """
    _check(x, fir, up, down, padding)
    taps = (fir.detach() * gain).flip(0, 1).to(x.device, torch.float64 if x.dtype == torch.float64 else torch.float32)
    if use_fast(impl, "upfirdn2d", x):
        return _Upfirdn2d.apply(dense(x), taps.contiguous(), up, down, padding)
    return _reference(x, taps.to(x.dtype), up, down, padding)


def doubled(x: Tensor) -> Tensor:
    """[B,C,H,W] -> [B,C,2H,2W]: `upfirdn2d` with the taps (1,3,3,1), up 2, padding (2,1,2,1) and gain 4.

    A new pixel is 3/4 of the nearer pixel and 1/4 of the next one along each side, which is bilinear interpolation with
    zeros around the picture; on a CPU it takes a tenth of the time.
    """
    around = F.pad(x, (1, 1, 1, 1))
    return F.interpolate(around, scale_factor=2, mode="bilinear", align_corners=False)[..., 2:-2, 2:-2]


def out_size(size: int, taps: int, up: int, down: int, before: int, after: int) -> int:
    """Pixels that upfirdn2d makes of `size` pixels along one side, padded by `before` and `after`."""
    return (size * up + before + after - taps) // down + 1


def setup_fir(taps: tuple[float, ...]) -> Tensor:
    """The separable filter [n,n] of 1-D taps, with sum 1: (1,3,3,1) is StyleGAN2's."""
    line = torch.tensor(taps, dtype=torch.float32)
    fir = line.outer(line)
    return fir / fir.sum()


def _reference(x: Tensor, taps: Tensor, up: int, down: int, padding: Padding) -> Tensor:
    """The operation in plain torch; `taps` is the filter, flipped and scaled."""
    batch, channels, height, width = x.shape
    if up > 1:
        spread = x.new_zeros(batch, channels, height, up, width, up)
        spread[:, :, :, 0, :, 0] = x
        x = spread.view(batch, channels, height * up, width * up)
    weight = taps.expand(channels, 1, -1, -1)
    return F.conv2d(F.pad(x, padding), weight, stride=down, groups=channels)


class _Upfirdn2d(torch.autograd.Function):
    """The CUDA kernel; its derivative is the same operation with up and down exchanged and the filter flipped."""

    @staticmethod
    def forward(ctx, x, taps, up, down, padding):
        left, right, top, bottom = padding
        height = out_size(x.shape[2], taps.shape[0], up, down, top, bottom)
        width = out_size(x.shape[3], taps.shape[1], up, down, left, right)
        last = channels_last(x)
        layout = torch.channels_last if last else torch.contiguous_format
        size = (*x.shape[:2], height, width)
        y = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=layout)
        torch.ops.where2edit.upfirdn2d(x, taps, up, down, left, top, last, y)
        ctx.save_for_backward(taps)
        ctx.up, ctx.down, ctx.padding, ctx.shapes = up, down, padding, (x.shape, y.shape)
        return y

    @staticmethod
    def backward(ctx, dy):
        (taps,) = ctx.saved_tensors
        left, _, top, _ = ctx.padding
        (*_, height, width), (*_, out_height, out_width) = ctx.shapes
        mirrored = (
            taps.shape[1] - 1 - left,
            width * ctx.up - out_width * ctx.down + left - ctx.up + 1,
            taps.shape[0] - 1 - top,
            height * ctx.up - out_height * ctx.down + top - ctx.up + 1,
        )
        dx = _Upfirdn2d.apply(dense(dy), taps.flip(0, 1).contiguous(), ctx.down, ctx.up, mirrored)
        return dx, None, None, None, None


def _check(x: Tensor, fir: Tensor, up: int, down: int, padding: Padding) -> None:
    """Raises ValueError for shapes that do not fit and a filter that leaves no pixel."""
    if x.ndim != 4 or fir.ndim != 2:
        raise ValueError(f"upfirdn2d takes x [B,C,H,W] and fir [h,w], got {list(x.shape)} and {list(fir.shape)}")
    if up < 1 or down < 1 or len(padding) != 4:
        raise ValueError(f"upfirdn2d takes up, down >= 1 and 4 paddings, got {up}, {down} and {padding}")
    left, right, top, bottom = padding
    height = out_size(x.shape[2], fir.shape[0], up, down, top, bottom)
    width = out_size(x.shape[3], fir.shape[1], up, down, left, right)
    if height < 1 or width < 1:
        raise ValueError(f"a {list(fir.shape)} filter leaves nothing of x {list(x.shape)}; pad more than {padding}")
