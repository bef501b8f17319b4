"""What the machine can do at best, beside which times are read."""

from __future__ import annotations

import platform
from collections.abc import Callable

import torch

SIDE = 2048  # of the matrices


def matrix_product(device: torch.device) -> Callable[[], object]:
    """A product of two matrices, to be timed among other things."""
    a = torch.randn(SIDE, SIDE, device=device)
    return lambda: a @ a


def matrix_rate(milliseconds: float) -> float:
    """GFLOP/s of `matrix_product`."""
    return 2 * SIDE**3 / milliseconds / 1e6


def described(device: torch.device) -> str:
    """Device, threads and versions in one line."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return f"{name}; torch {torch.__version__}; Python {platform.python_version()}"
