"""Which device a command works on, from what `--device` says, and the numbers that torchrun gives a process."""

from __future__ import annotations

import os
import re

import torch

from where2edit.core.bounds import Bounds
from where2edit.core.sentences import quoted


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
