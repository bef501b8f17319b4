"""The time of each operation, reference against kernel, on the shapes of the last layers of a synthesis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

from where2edit.commands.benchmarks.settings import implementations
from where2edit.commands.benchmarks.timing import Times, interleaved
from where2edit.generators.stylegan2 import FIR, SKIP_PADDING
from where2edit.ops.bias_act import bias_act
from where2edit.ops.region_mean import region_mean
from where2edit.ops.upfirdn2d import setup_fir, upfirdn2d

ROUNDS = 10  # the operations are short
LAYOUTS = (
    (torch.float32, torch.contiguous_format),
    (torch.float32, torch.channels_last),
    (torch.bfloat16, torch.contiguous_format),
    (torch.float16, torch.channels_last),
)


def operation_rows(device: torch.device, size: int, batch: int = 8, rounds: int = ROUNDS) -> Iterator[tuple]:
    """Each operation in a `size` px synthesis: name, shape, type, pass, and the four cells of `_cells`."""
    cases = {"epilogue": (_epilogue, 32, size), "blur": (_blur, 32, size + 1), "RGB skip": (_skip, 3, size // 2)}
    for name, (run, channels, side) in cases.items():
        for dtype, layout in LAYOUTS:
            x = torch.randn(batch, channels, side, side, device=device, dtype=dtype).contiguous(memory_format=layout)
            kind = f"{str(dtype).split('.')[1]}{', channels last' if layout == torch.channels_last else ''}"
            for direction, timed in (("forward", _forward), ("forward + backward", _forward_backward)):
                calls = {impl: timed(run, x, impl) for impl in implementations(device)}
                yield name, str(list(x.shape)), kind, direction, *_cells(interleaved(calls, device, rounds))


def region_row(device: torch.device, rounds: int = ROUNDS) -> tuple:
    """Region means of 8 masks with 20 regions: a loop against the scatter."""
    a = torch.rand(8, 1, 64, 64, device=device)
    labels = (torch.arange(8 * 64 * 64, device=device) % 20).view(8, 64, 64)
    calls = {impl: lambda impl=impl: region_mean(a, labels, 20, impl) for impl in ("reference", "fast")}
    return "region mean", str(list(a.shape)), "float32", "forward", *_cells(interleaved(calls, device, rounds))


def _epilogue(x: Tensor, impl: str) -> Tensor:
    """Demodulation, noise, bias and leaky ReLU of the last convolution."""
    bias, scale, noise = x.new_ones(x.shape[1]), x.new_ones(x.shape[:2]), x.new_ones(x.shape[2:])
    return bias_act(x, bias, scale=scale, noise=noise, impl=impl)


@lru_cache
def _fir(device: torch.device) -> Tensor:
    return setup_fir(FIR).to(device)


def _blur(x: Tensor, impl: str) -> Tensor:
    """The blur after a transposed convolution."""
    return upfirdn2d(x, _fir(x.device), padding=(1, 1, 1, 1), gain=4, impl=impl)


def _skip(x: Tensor, impl: str) -> Tensor:
    """The RGB skip at twice its resolution."""
    return upfirdn2d(x, _fir(x.device), up=2, padding=SKIP_PADDING, gain=4, impl=impl)


def _forward(run: Callable, x: Tensor, impl: str) -> Callable[[], object]:
    return lambda: run(x, impl)


def _forward_backward(run: Callable, x: Tensor, impl: str) -> Callable[[], object]:
    leaf = x.detach().requires_grad_()
    pull = torch.ones_like(run(x, impl))
    return lambda: torch.autograd.grad(run(leaf, impl), leaf, pull)


def _cells(times: dict[str, Times]) -> list[str]:
    """Median of the reference and of fast, how many times faster, and the spread; dashes where only one ran.

    The spread is the wider one of (longest - shortest) / median of the two.
    """
    medians = [each.median for each in times.values()]
    faster = ["-", "-"] if len(medians) == 1 else [f"{medians[1]:.3f}", f"{medians[0] / medians[1]:.2f}"]
    return [f"{medians[0]:.3f}", *faster, f"{max(each.spread for each in times.values()):.0%}"]
