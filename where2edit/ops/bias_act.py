"""What stands between one convolution and the next, in one pass over memory: y = gain * act(x * scale + noise + bias).

Legend: B batch, C channels, H x W pixels. The CUDA twin keeps only its output for the derivative: with gain > 0 and
slope > 0 the output has the sign of the activation's input.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.ops.extension import Impl, use_fast

Activation = Literal["linear", "leaky_relu"]
SLOPE = 0.2
GAINS = {"linear": 1.0, "leaky_relu": math.sqrt(2)}  # keep the variance of a normal input near 1


def bias_act(
    x: Tensor,
    bias: Tensor | None = None,
    *,
    scale: Tensor | None = None,
    noise: Tensor | None = None,
    activation: Activation = "leaky_relu",
    impl: Impl = "auto",
) -> Tensor:
    """Scale, noise, bias and activation of StyleGAN2 (Karras et al. 2020, Fig. 2c) in one operation.

    x: [B,C,...]; bias: [C]; scale: [B,C], the demodulation; noise: [H,W] or [1,1,H,W], added to every channel.
    leaky_relu has slope 0.2 and gain sqrt(2), linear has gain 1. Returns the shape and dtype of x. Differentiable any
    number of times in every operand. Raises ValueError for shapes that do not fit.
    """
    check_operands(x.shape, bias, scale, noise, activation)
    operands = [None if operand is None else operand.to(x.dtype) for operand in (bias, scale, noise)]
    if use_fast(impl, "bias_act", x):
        return _fast(x, *operands, activation)
    return _reference(x, *operands, activation)


def _reference(x: Tensor, bias: Tensor | None, scale: Tensor | None, noise: Tensor | None, activation: str) -> Tensor:
    """The operation in plain torch."""
    tail = (1,) * (x.ndim - 2)
    if scale is not None:
        x = x * scale.view(*scale.shape, *tail)
    if noise is not None:
        x = x + noise
    if bias is not None:
        x = x + bias.view(-1, *tail)
    return F.leaky_relu(x, SLOPE) * GAINS[activation] if activation == "leaky_relu" else x


def _fast(x: Tensor, bias: Tensor | None, scale: Tensor | None, noise: Tensor | None, activation: str) -> Tensor:
    """The operation as one CUDA kernel."""
    if noise is not None:
        noise = noise.expand(1, 1, *x.shape[2:]).contiguous()
    bias, scale = (None if operand is None else operand.contiguous() for operand in (bias, scale))
    slope = SLOPE if activation == "leaky_relu" else 1.0
    return _BiasAct.apply(dense(x), bias, scale, noise, slope, GAINS[activation])


def channels_last(x: Tensor) -> bool:
    """Whether x lies in memory pixel by pixel; a tensor that lies both ways counts as NCHW."""
    return x.ndim == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)


def dense(x: Tensor) -> Tensor:
    """x itself where it is NCHW or channels last without gaps, else an NCHW copy."""
    return x if channels_last(x) else x.contiguous()


def _kernel(x: Tensor, slope: float, gain: float, bias=None, scale=None, noise=None, like=None) -> Tensor:
    """Call the kernel; with `like`, the sign of `like` instead of that of the input chooses the slope."""
    y = torch.empty_like(x)
    torch.ops.where2edit.bias_act(x, bias, scale, noise, like, slope, gain, channels_last(x), y)
    return y


class _BiasAct(torch.autograd.Function):
    """The forward kernel; its derivative is made of _Slope and sums, so that it can be derived again."""

    @staticmethod
    def forward(ctx, x, bias, scale, noise, slope, gain):
        y = _kernel(x, slope, gain, bias, scale, noise)
        ctx.save_for_backward(x if ctx.needs_input_grad[2] else None, scale, y)
        ctx.slope, ctx.gain = slope, gain
        return y

    @staticmethod
    def backward(ctx, dy):
        x, scale, y = ctx.saved_tensors
        needs_x, needs_bias, needs_scale, needs_noise = ctx.needs_input_grad[:4]
        dx = _Slope.apply(dy, y, scale, ctx.slope, ctx.gain) if needs_x else None
        dbias = dscale = dnoise = None
        if needs_bias or needs_scale or needs_noise:
            inner = _Slope.apply(dy, y, None, ctx.slope, ctx.gain)
            spatial = tuple(range(2, dy.ndim))
            dbias = inner.sum((0, *spatial)) if needs_bias else None
            dscale = _sum_pixels(inner * x) if needs_scale else None
            dnoise = inner.sum((0, 1), keepdim=True) if needs_noise else None
        return dx, dbias, dscale, dnoise, None, None


class _Slope(torch.autograd.Function):
    """dx = dy * act'(y) * scale, linear in dy, so that it is its own derivative. act' is constant almost everywhere."""

    @staticmethod
    def forward(ctx, dy, y, scale, slope, gain):
        dy = dy.contiguous(memory_format=torch.channels_last if channels_last(y) else torch.contiguous_format)
        ctx.save_for_backward(dy if ctx.needs_input_grad[2] else None, y, scale)
        ctx.slope, ctx.gain = slope, gain
        return _kernel(dy, slope, gain, scale=scale, like=y)

    @staticmethod
    def backward(ctx, ddx):
        dy, y, scale = ctx.saved_tensors
        ddy = _Slope.apply(ddx, y, scale, ctx.slope, ctx.gain) if ctx.needs_input_grad[0] else None
        dscale = None
        if ctx.needs_input_grad[2]:
            dscale = _sum_pixels(_Slope.apply(ddx, y, None, ctx.slope, ctx.gain) * dy)
        return ddy, None, dscale, None, None


def _sum_pixels(x: Tensor) -> Tensor:
    """[B,C,...] -> [B,C]."""
    return x.flatten(2).sum(2) if x.ndim > 2 else x


def check_operands(
    shape: torch.Size | tuple[int, ...],
    bias: Tensor | None,
    scale: Tensor | None,
    noise: Tensor | None,
    activation: str,
) -> None:
    """Raises ValueError naming the operand that does not fit x of that shape, [B,C,...]."""
    if activation not in GAINS:
        raise ValueError(f"activation is {activation!r}; allowed: {', '.join(GAINS)}")
    if len(shape) < 2:
        raise ValueError(f"bias_act takes x [B,C,...], got {list(shape)}")
    if bias is not None and bias.shape != shape[1:2]:
        raise ValueError(f"bias must be [{shape[1]}] for x {list(shape)}, got {list(bias.shape)}")
    if scale is not None and scale.shape != shape[:2]:
        raise ValueError(f"scale must be {list(shape[:2])} for x {list(shape)}, got {list(scale.shape)}")
    if noise is not None and (noise.shape[-2:] != shape[2:] or noise.numel() != math.prod(shape[2:])):
        raise ValueError(f"noise must be {list(shape[2:])} for x {list(shape)}, got {list(noise.shape)}")
