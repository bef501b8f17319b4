"""Which device a command works on, from what `--device` says."""

from __future__ import annotations

import os

import torch


def resolve_device(name: str = "auto") -> str:
    """The device of this process: "auto" is its own GPU where there is one, else "cpu"; other names are checked.

    Under torchrun each process takes the GPU of its local rank. Raises ValueError for a device that torch does not know
    and for a GPU that this machine does not have.
    """
    local = int(os.environ.get("LOCAL_RANK", 0))
    if name == "auto":
        return f"cuda:{local}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"no device is called '{name}'; give auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device '{name}' needs a GPU, and {torch.cuda.device_count()} are visible; give auto or cpu")
    return f"cuda:{local}" if name == "cuda" else name
