"""The ways in which a synthesis can be computed: precision, memory layout and choice of algorithms."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from where2edit.generators.base import Generator
from where2edit.generators.stylegan2 import Arithmetic, StyleGAN2
from where2edit.ops.extension import use_fast


@dataclass(frozen=True)
class Setting:
    """Precision, layout and choice of algorithms around a measurement; the defaults are plain float32 in NCHW."""

    local: bool = False  # convolutions whose result at a pixel depends on its neighbourhood alone, bit for bit
    tf32: bool = False
    channels_last: bool = False
    deterministic: bool = False  # only cuDNN's deterministic algorithms
    search: bool = False  # let cuDNN try its algorithms and take the fastest (cudnn.benchmark)
    dtype: torch.dtype = torch.float32

    @contextmanager
    def active(self, generator: StyleGAN2, **arithmetic: str) -> Iterator[StyleGAN2]:
        """A copy of the generator that computes this way, while torch's own switches stand accordingly."""
        changed = copy.deepcopy(generator)
        self.place(changed, **arithmetic)
        with self.switched():
            yield changed

    def place(self, generator: Generator, **arithmetic: str) -> None:
        """Give a generator this type and memory layout and, where it has one, this arithmetic."""
        if hasattr(generator, "arithmetic"):
            generator.arithmetic = Arithmetic(local=self.local, **arithmetic)
        if self.dtype != torch.float32:
            generator.to(self.dtype)
        generator.to(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)

    @contextmanager
    def switched(self) -> Iterator[None]:
        """While torch's own switches stand accordingly."""
        matmul = torch.backends.cuda.matmul.allow_tf32
        flags = {"deterministic": self.deterministic, "benchmark": self.search, "allow_tf32": self.tf32}
        with torch.backends.cudnn.flags(enabled=True, **flags):
            torch.backends.cuda.matmul.allow_tf32 = self.tf32
            try:
                yield
            finally:
                torch.backends.cuda.matmul.allow_tf32 = matmul


LOCAL_SETTINGS = {
    "local, fp32": Setting(local=True),
    "local, TF32": Setting(local=True, tf32=True),
    "local, bf16": Setting(local=True, dtype=torch.bfloat16),
}
CUDNN_SETTINGS = {
    "cuDNN, fp32": Setting(),
    "cuDNN, fp32, deterministic": Setting(deterministic=True),
    "cuDNN, fp32, benchmark": Setting(search=True),
    "cuDNN, fp32, channels last": Setting(channels_last=True),
    "cuDNN, TF32": Setting(tf32=True),
    "cuDNN, TF32, channels last": Setting(tf32=True, channels_last=True),
    "cuDNN, bf16, channels last": Setting(dtype=torch.bfloat16, channels_last=True),
}


def settings_of(device: torch.device) -> dict[str, Setting]:
    """The settings that are measured on a device, by the name that a table gives them."""
    return LOCAL_SETTINGS | CUDNN_SETTINGS if device.type == "cuda" else {"CPU, fp32": Setting()}


def implementations(device: torch.device) -> tuple[str, ...]:
    """Reference first, and the kernels where the device has them; ValueError on a GPU that cannot build them."""
    if device.type == "cuda" and use_fast("fast", "benchmark", torch.zeros(1, device=device)):
        return "reference", "fast"
    return ("reference",)
