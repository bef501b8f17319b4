"""What the machine can do at best, beside which times are read."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from where2edit.commands.benchmarks.timing import Times

MATRIX, COPY = "matrix product", "copy"
PACKAGES = ("torch", "numpy", "scikit-learn", "onnxruntime")
CPU_NAMES = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class MachineCalls:
    """A product of two matrices of side x side numbers and a copy of `copied` bytes, to be timed among other things."""

    device: torch.device
    side: int
    copied: int

    @classmethod
    def of(cls, device: torch.device, quick: bool = False) -> MachineCalls:
        """As large as it takes to keep the device busy; `quick`: small, for trying things out."""
        if quick:
            return cls(device, 512, 2**22)
        return cls(device, 8192, 2**30) if device.type == "cuda" else cls(device, 2048, 2**27)

    def calls(self) -> dict[str, Callable[[], object]]:
        """Both, by name; their tensors live as long as the calls."""
        a = torch.randn(self.side, self.side, device=self.device)
        source = torch.ones(self.copied // 4, device=self.device)
        target = torch.empty_like(source)
        return {MATRIX: lambda: a @ a, COPY: lambda: target.copy_(source)}

    def rates(self, times: dict[str, Times]) -> MachineRates:
        """What the timed calls say, which are taken out of `times`."""
        product, copy = (times.pop(name).median for name in (MATRIX, COPY))
        return MachineRates(2 * self.side**3 / product / 1e6, 2 * self.copied / copy / 1e6)


@dataclass(frozen=True)
class MachineRates:
    """GFLOP a second of a float32 matrix product, and GB a second that a copy reads and writes."""

    gflops: float
    gigabytes: float

    def __str__(self) -> str:
        return f"matrix products {self.gflops:,.0f} GFLOP/s, copies {self.gigabytes:,.0f} GB/s"


def described(device: torch.device) -> str:
    """Device, threads and versions in one line."""
    if device.type == "cuda":
        cudnn = torch.backends.cudnn.version()
        name = f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}, cuDNN {cudnn}"
    else:
        name = f"CPU {cpu_name()}, {torch.get_num_threads()} threads"
    versions = [f"{package} {found}" for package in PACKAGES if (found := installed(package))]
    return "; ".join([name, *versions, f"Python {platform.python_version()}"])


def cpu_name() -> str:
    """What the processor calls itself; its architecture where it does not say."""
    text = CPU_NAMES.read_text(encoding="utf-8", errors="replace") if CPU_NAMES.is_file() else ""
    names = (line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(names, platform.machine())


def installed(package: str) -> str:
    """The version of a package; "" for one that is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
