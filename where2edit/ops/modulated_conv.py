"""Modulated convolution of StyleGAN2 (Karras et al. 2020, Eq. 1 and 3) with blur, noise, bias and activation.

Three formulations, equal in exact arithmetic. The reference modulates the weight per sample and convolves in groups.
The scaled one multiplies the input by the style, convolves the batch with the one shared weight and multiplies the
output by the demodulation. The folded one is for a CPU, which memory bounds where a canvas is large and the weight
small: it puts style, demodulation and the gain of the activation into the weight of each sample and the bias into the
last convolution, so that only noise and activation pass over the output again.

Legend: B batch, I and O input and output channels, k kernel size, H x W pixels read, r output resolution.
"""

from __future__ import annotations

from collections.abc import MutableMapping

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from where2edit.ops.bias_act import GAINS, SLOPE, Activation, bias_act, check_operands
from where2edit.ops.convolution import Local, convolution
from where2edit.ops.extension import Impl, check_impl
from where2edit.ops.upfirdn2d import upfirdn2d

EPSILON = 1e-8  # under the root of the demodulation, as in the official code
FOLDED = 2**21  # numbers in a weight up to which it is folded on a CPU
_energies: MutableMapping[Tensor, tuple[tuple, Tensor]] = WeakTensorKeyDictionary()  # of frozen weights, see _energy


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
    local: Local = False,
    impl: Impl = "auto",
    kernels: Impl = "auto",
) -> Tensor:
    """act(demodulation * blur(weight conv (style * x)) + noise + bias): one layer of StyleGAN2.

    x: [B,I,H,W]; weight: [O,I,k,k], k odd; style: [B,I]; noise: [1,1,r,r]; bias: [O]. With a 4x4 `fir` the convolution
    is transposed with stride 2 and then blurred, r = 2H; without, r = H. impl: "reference" modulates weights in groups,
    "fast" and "auto" fold weights on a CPU where they are small, else scale activations; which, does not depend on the
    size of x. kernels: the impl of the blur and of bias_act. local: see `convolution`.
    Returns [B,O,r,r]. Raises ValueError for shapes that do not fit.
    """
    check_impl(impl)
    _check(x, weight, style, fir)
    up = 1 if fir is None else 2
    check_operands((len(x), len(weight), up * x.shape[2], up * x.shape[3]), bias, None, noise, activation)
    if impl != "reference" and not x.is_cuda and weight.numel() <= FOLDED:
        samples = zip(x.split(1), _folded_weights(weight, style, demodulate, activation).to(x.dtype), strict=True)
        each = [_folded(one, own, fir, noise, bias, activation) for one, own in samples]
        return each[0] if len(each) == 1 else torch.cat(each)
    if impl == "reference":
        y, scale = _grouped(x, weight, style, fir is not None, demodulate), None
    else:
        y = convolution(x * style[:, :, None, None].to(x.dtype), weight.to(x.dtype), up=up, local=local)
        scale = demodulation(weight, style) if demodulate else None
    if fir is not None:
        y = upfirdn2d(y, fir, padding=blur_padding(len(fir), weight.shape[-1]), gain=4, impl=kernels)
    return bias_act(y, bias, scale=scale, noise=noise, activation=activation, impl=kernels)


def demodulation(weight: Tensor, style: Tensor) -> Tensor:
    """1/sqrt(sum over (i,k) of (weight * style)^2 + eps): weight [O,I,k,k], style [B,I] -> [B,O].

    It gives every output map unit variance (Eq. 3). A sum per row instead of a matrix product, whose rounding would
    depend on the size of the batch.
    """
    return ((style.square()[:, None] * _energy(weight)).sum(2) + EPSILON).rsqrt()


def _energy(weight: Tensor) -> Tensor:
    """The sum of squares over each kernel of a weight [O,I,k,k]: [O,I]; of a weight that is frozen computed once."""
    if weight.requires_grad or weight.is_inference():
        return weight.square().sum((2, 3))
    state = (weight.data_ptr(), weight._version, weight.dtype, weight.device)
    known = _energies.get(weight)
    if known is None or known[0] != state:
        _energies[weight] = known = state, weight.square().sum((2, 3))
    return known[1]


def blur_padding(taps: int, kernel: int) -> tuple[int, int, int, int]:
    """Padding (left, right, top, bottom) of the blur after a transposed convolution.

    It leaves 2H of the 2H - 2 + kernel rows that the convolution gives.
    """
    total = taps + 1 - kernel
    return (total + 1) // 2, total // 2, (total + 1) // 2, total // 2


def _folded_weights(weight: Tensor, style: Tensor, demodulate: bool, activation: Activation) -> Tensor:
    """The weight of each sample, [B,O,I,k,k], with style [B,I], demodulation and the gain of the activation in it."""
    gain = style.new_full((len(style), len(weight)), GAINS[activation])
    scale = gain * demodulation(weight, style) if demodulate else gain
    return weight.to(style.dtype) * (scale[:, :, None] * style[:, None])[..., None, None]


def _folded(
    x: Tensor, weight: Tensor, fir: Tensor | None, noise: Tensor | None, bias: Tensor | None, activation: Activation
) -> Tensor:
    """One sample x [1,I,H,W] with its folded weight [O,I,k,k] -> [1,O,r,r]."""
    gain, weight = GAINS[activation], weight if fir is None else weight.transpose(0, 1)
    weight = weight.contiguous(memory_format=torch.channels_last)
    bias = None if bias is None else bias.to(x.dtype) * gain
    if fir is None:
        y = F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
    else:
        y = F.conv_transpose2d(x, weight, stride=2)
        taps = (4 * fir.flip(0, 1)).to(x.dtype).expand(y.shape[1], 1, -1, -1)
        left, *others = blur_padding(len(fir), weight.shape[-1])
        assert others == [left] * 3, "the blur of an odd kernel has the same padding on all sides"
        y = F.conv2d(y, taps, bias, padding=left, groups=y.shape[1])
    y = y if noise is None else y.add_(noise.to(x.dtype), alpha=gain)
    return F.leaky_relu_(y, SLOPE) if activation == "leaky_relu" else y


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
