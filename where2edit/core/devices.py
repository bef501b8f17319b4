"""Which device and number type a command works with, from what it is told, and the numbers that torchrun gives it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from where2edit.core.bounds import Bounds
from where2edit.core.sentences import quoted

Dtype = Literal["auto", "float32", "bfloat16"]


def environment_number(name: str, default: int, bounds: Bounds) -> int:
    """A whole number from the environment. Raises ValueError for another text and for a number out of bounds."""
    text = os.environ.get(name, str(default)).strip()
    if not re.fullmatch(r"\d{1,9}", text) or not bounds.holds(int(text)):
        raise ValueError(f"the environment variable {name} is {quoted(text)}; allowed: {bounds}, or leave it out")
    return int(text)


def resolve_device(name: str = "auto") -> str:
    """The device of this process: "auto" is its own GPU where there is one, else "cpu"; other names are checked.

    Under torchrun each process takes the GPU of its local rank. Raises ValueError for any other name than auto, cpu,
    cuda and cuda:N, and for a GPU that this machine does not have.
    """
    local = environment_number("LOCAL_RANK", 0, Bounds(0, 1023))
    if name == "auto":
        return f"cuda:{local}" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d{1,4})?", name):
        raise ValueError(f"no device is called {quoted(name)}; give auto, cpu, cuda or cuda:N")
    wanted = f"cuda:{local}" if name == "cuda" else name
    if name != "cpu" and int(wanted.removeprefix("cuda:")) >= (count := torch.cuda.device_count()):
        raise ValueError(f"device '{name}' needs a GPU, and {count} are visible; give auto or cpu")
    return wanted


def constant(values: Sequence[Any], like: Tensor) -> Tensor:
    """Numbers as a tensor of the type and on the device of another, without waiting for what a GPU is doing."""
    return sent(torch.tensor(values, dtype=like.dtype), like)


def sent(x: Tensor, like: Tensor) -> Tensor:
    """A tensor of the CPU on the device of another, without waiting for what a GPU is doing."""
    return x.to(like.device, non_blocking=True)


def resolve_dtype(name: Dtype, device: torch.device | str) -> Literal["float32", "bfloat16"]:
    """The number type for `name`: "auto" is bfloat16 on a device that multiplies matrices of it, else float32.

    Such are CPUs with AMX, on which a convolution takes a fifth of the time, and GPUs from Ampere on.
    """
    if name != "auto":
        return name
    if torch.device(device).type == "cuda":
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        fast = bool(torch.cpu.get_capabilities().get("amx_bf16"))
    return "bfloat16" if fast else "float32"
