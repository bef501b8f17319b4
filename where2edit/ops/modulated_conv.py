"""Modulated convolution of StyleGAN2 (Karras et al. 2020, Eq. 1 and 3) with blur, noise, bias and activation.

Two formulations, equal in exact arithmetic. The fast one multiplies the input by the style, convolves the batch with
the one shared weight and multiplies the output by the demodulation; the reference modulates the weight per sample and
convolves in groups.

Legend: B batch, I and O input and output channels, k kernel size, H x W pixels read, r output resolution.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from where2edit.ops.bias_act import Activation, bias_act
from where2edit.ops.convolution import convolution
from where2edit.ops.extension import Impl, check_impl
from where2edit.ops.upfirdn2d import upfirdn2d

EPSILON = 1e-8  # under the root of the demodulation, as in the official code


def modulated_conv(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    *,
    fir: Tensor | None = None,
    demodulate: bool = True,
    noise: Tensor | None = None,
    bias: Tensor | None = None,
    activation: Activation = "linear",
    local: bool = False,
    impl: Impl = "auto",
    kernels: Impl = "auto",
) -> Tensor:
    """act(demodulation * blur(weight conv (style * x)) + noise + bias): one layer of StyleGAN2.

    x: [B,I,H,W]; weight: [O,I,k,k], k odd; style: [B,I]; noise: [1,1,r,r]; bias: [O]. With a 4x4 `fir` the convolution
    is transposed with stride 2 and then blurred, r = 2H; without, r = H. impl: "reference" modulates weights in groups,
    "fast" and "auto" scale activations. kernels: the impl of the blur and of bias_act. local: see `convolution`.
    Returns [B,O,r,r]. Raises ValueError for shapes that do not fit.
    """
    check_impl(impl)
    _check(x, weight, style, fir)
    if impl == "reference":
        y, scale = _grouped(x, weight, style, fir is not None, demodulate), None
    else:
        y = convolution(x * style[:, :, None, None].to(x.dtype), weight, up=1 if fir is None else 2, local=local)
        scale = demodulation(weight, style) if demodulate else None
    if fir is not None:
        y = upfirdn2d(y, fir, padding=blur_padding(len(fir), weight.shape[-1]), gain=4, impl=kernels)
    return bias_act(y, bias, scale=scale, noise=noise, activation=activation, impl=kernels)


def demodulation(weight: Tensor, style: Tensor) -> Tensor:
    """1/sqrt(sum over (i,k) of (weight * style)^2 + eps): weight [O,I,k,k], style [B,I] -> [B,O].

    It gives every output map unit variance (Eq. 3). A sum per row instead of a matrix product, whose rounding would
    depend on the size of the batch.
    """
    energy = weight.square().sum((2, 3))  # [O,I]
    return ((style.square()[:, None] * energy).sum(2) + EPSILON).rsqrt()


def blur_padding(taps: int, kernel: int) -> tuple[int, int, int, int]:
    """Padding (left, right, top, bottom) of the blur after a transposed convolution.

    It leaves 2H of the 2H - 2 + kernel rows that the convolution gives.
    """
    total = taps + 1 - kernel
    return (total + 1) // 2, total // 2, (total + 1) // 2, total // 2


def _grouped(x: Tensor, weight: Tensor, style: Tensor, transposed: bool, demodulate: bool) -> Tensor:
    """The reference: a weight of its own for each sample, the samples as groups of one convolution."""
    batch, inputs, height, width = x.shape
    outputs, _, kernel, _ = weight.shape
    modulated = weight[None] * style[:, None, :, None, None]  # [B,O,I,k,k]
    if demodulate:
        modulated = modulated * (modulated.square().sum((2, 3, 4), keepdim=True) + EPSILON).rsqrt()
    x = x.reshape(1, batch * inputs, height, width)  # [B,I,H,W] -> [1,B*I,H,W]
    if transposed:
        y = F.conv_transpose2d(x, modulated.transpose(1, 2).flatten(0, 1), stride=2, groups=batch)
    else:
        y = F.conv2d(x, modulated.flatten(0, 1), padding=kernel // 2, groups=batch)
    return y.view(batch, outputs, *y.shape[2:])  # [1,B*O,.,.] -> [B,O,.,.]


def _check(x: Tensor, weight: Tensor, style: Tensor, fir: Tensor | None) -> None:
    """Raises ValueError naming the operand whose shape does not fit."""
    if x.ndim != 4 or weight.ndim != 4 or weight.shape[1] != x.shape[1] or weight.shape[2:] != weight.shape[-1:] * 2:
        found = f"{list(x.shape)} and {list(weight.shape)}"
        raise ValueError(f"modulated_conv takes x [B,I,H,W] and weight [O,I,k,k], got {found}")
    if weight.shape[-1] % 2 == 0:
        raise ValueError(f"the kernel of modulated_conv must be odd, got {weight.shape[-1]}")
    if style.shape != x.shape[:2]:
        raise ValueError(f"style must be {list(x.shape[:2])} for x {list(x.shape)}, got {list(style.shape)}")
    if fir is not None and fir.shape != (4, 4):
        raise ValueError(f"the blur of an enlarging modulated_conv is 4x4, got {list(fir.shape)}")
