"""The time of each operation, reference against kernel, on the shapes of the last layers of a synthesis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

from where2edit.commands.benchmarks.settings import implementations
from where2edit.commands.benchmarks.timing import milliseconds
from where2edit.generators.stylegan2 import FIR, SKIP_PADDING
from where2edit.ops.bias_act import bias_act
from where2edit.ops.region_mean import region_mean
from where2edit.ops.upfirdn2d import setup_fir, upfirdn2d

LAYOUTS = (
    (torch.float32, torch.contiguous_format),
    (torch.float32, torch.channels_last),
    (torch.bfloat16, torch.contiguous_format),
    (torch.float16, torch.channels_last),
)


def operation_rows(device: torch.device, size: int, batch: int = 8) -> Iterator[tuple]:
    """Each operation in a `size` px synthesis: name, shape, type, pass, and the three cells of `_cells`."""
    cases = {"epilogue": (_epilogue, 32, size), "blur": (_blur, 32, size + 1), "RGB skip": (_skip, 3, size // 2)}
    for name, (run, channels, side) in cases.items():
        for dtype, layout in LAYOUTS:
            x = torch.randn(batch, channels, side, side, device=device, dtype=dtype).contiguous(memory_format=layout)
            kind = f"{str(dtype).split('.')[1]}{', channels last' if layout == torch.channels_last else ''}"
            for direction, timed in (("forward", _forward), ("forward + backward", _forward_backward)):
                times = [milliseconds(timed(run, x, impl), device) for impl in implementations(device)]
                yield name, str(list(x.shape)), kind, direction, *_cells(times)


def region_row(device: torch.device) -> tuple:
    """Region means of 8 masks with 20 regions: a loop against the scatter."""
    a = torch.rand(8, 1, 64, 64, device=device)
    labels = (torch.arange(8 * 64 * 64, device=device) % 20).view(8, 64, 64)
    times = [milliseconds(lambda impl=impl: region_mean(a, labels, 20, impl), device) for impl in ("reference", "fast")]
    return "region mean", str(list(a.shape)), "float32", "forward", *_cells(times)


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


def _cells(times: list[float]) -> list[str]:
    """Reference, fast and how many times faster; dashes where only the reference ran."""
    if len(times) == 1:
        return [f"{times[0]:.3f}", "-", "-"]
    return [*(f"{t:.3f}" for t in times), f"{times[0] / times[1]:.2f}"]
