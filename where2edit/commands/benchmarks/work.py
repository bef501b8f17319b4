"""How much work a call is: arithmetic, memory traffic and memory, counted in one run of it.

Operations of our own CUDA kernels are not seen by torch's dispatcher, so that on a GPU traffic is counted a little low.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from where2edit.commands.benchmarks.machine import MachineRates


@dataclass(frozen=True)
class Work:
    """Of one call: GFLOP of convolutions and matrix products, GB that its operations read and write, GiB of tensors.

    gib: what the call holds at most beyond what was there before; on a GPU with what libraries take for themselves.
    """

    gflop: float
    gigabytes: float
    gib: float

    def shares(self, milliseconds: float, rates: MachineRates) -> tuple[str, str]:
        """Which shares of the machine's matrix rate and copy bandwidth a call that takes so long makes use of."""
        arithmetic = self.gflop / (milliseconds / 1e3) / rates.gflops
        return f"{arithmetic:.0%}", f"{self.gigabytes / (milliseconds / 1e3) / rates.gigabytes:.0%}"


class OperationCounter(TorchDispatchMode):
    """Sums up the bytes of the operands and results of every operation, and follows the memory of new results."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.held = self.most = 0
        self._storages: dict[StorageWeakRef, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            operands = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
            results = [x for x in tree_leaves(result) if isinstance(x, Tensor)]
            self.bytes += sum(map(_size, [*operands, *results]))
            self._follow(operands, results)
        return result

    def _follow(self, operands: list[Tensor], results: list[Tensor]) -> None:
        """Note the storages that an operation has made, and how much those that are still there hold."""
        known = {x.untyped_storage().data_ptr() for x in operands}
        for x in results:
            storage = x.untyped_storage()
            if storage.data_ptr() not in known:
                self._storages[StorageWeakRef(storage)] = storage.nbytes()
        self._storages = {ref: size for ref, size in self._storages.items() if not ref.expired()}
        self.most = max(self.most, sum(self._storages.values()))


def work_of(call: Callable[[], object], device: torch.device) -> Work:
    """Count one run of a call."""
    with FlopCounterMode(display=False) as flops, OperationCounter() as counter:
        call()
    most = counter.most
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        most = torch.cuda.max_memory_allocated(device) - before
    return Work(flops.get_total_flops() / 1e9, counter.bytes / 1e9, most / 2**30)


def _size(x: Tensor) -> int:
    """Bytes of a tensor; of an expanded one those that are there."""
    return min(x.numel() * x.element_size(), x.untyped_storage().nbytes())
