"""One process or many: the few calls that training needs, each the identity when torch.distributed is not in use."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from where2edit.core.bounds import Bounds
from where2edit.core.devices import environment_number, resolve_device

JOIN_SECONDS = 180  # that processes wait for each other at the start, in which slow machines import everything
MOST_PROCESSES = 1024
TORCHRUN = ("RANK", "MASTER_ADDR", "MASTER_PORT")  # what it gives each of several processes
SEED_STRIDE = 1_000_003  # a prime above every number of steps, so that two runs with neighbouring seeds share no step


def active() -> bool:
    """Whether this process belongs to a group."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """The number of this process in its group, from 0; 0 where there is no group."""
    return dist.get_rank() if active() else 0


def world() -> int:
    """How many processes the group has; 1 where there is none."""
    return dist.get_world_size() if active() else 1


def mean(values: dict[str, float], device: torch.device) -> dict[str, float]:
    """The mean over processes of each figure; all give the same names in the same order, and all get the means."""
    if world() == 1:
        return values
    # NCCL reduces on its own device only. The figures are logged and read by people: float32 is enough.
    figures = torch.tensor(list(values.values()), device=device)
    dist.all_reduce(figures)
    return dict(zip(values, (figures / world()).tolist(), strict=True))


def leave() -> None:
    """End this process's part in the group, where there is one."""
    if active():
        dist.destroy_process_group()


def gather(x: Tensor, dim: int = 0) -> Tensor:
    """Concatenate the `x` of all processes, of one shape, along `dim` in the order of their ranks.

    Differentiable: the gradient of `x` is the sum over processes of the gradients of its place in the result.
    """
    if world() == 1:
        return x
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(x.contiguous()), dim=dim)


def start_processes(device: str = "auto") -> str:
    """Join torchrun's process group where there is one, and name this process's device (see `resolve_device`).

    Raises ValueError for numbers of processes that make no sense, and where the others do not come.
    """
    device = resolve_device(device)
    count = environment_number("WORLD_SIZE", 1, Bounds(1, MOST_PROCESSES))
    if count > 1 and not active():
        if missing := [name for name in TORCHRUN if not os.environ.get(name)]:
            said = f"WORLD_SIZE is {count}, but {' and '.join(missing)} not set"
            raise ValueError(f"{said}; start the command with torchrun, or leave WORLD_SIZE out for one process")
        _join(environment_number("RANK", 0, Bounds(0, count - 1)), count, "gloo" if device == "cpu" else "nccl")
    return device


def _join(number: int, count: int, backend: str) -> None:
    """Meet the other processes, for JOIN_SECONDS at most, and make one group of them."""
    wait = timedelta(seconds=JOIN_SECONDS)
    try:
        store, *_ = next(dist.rendezvous("env://", number, count, timeout=wait))
        store.set(f"joined/{number}", "yes")
        store.wait([f"joined/{other}" for other in range(count)], wait)
    except (RuntimeError, ValueError, OSError):  # what cannot be reached, and what does not come
        raise ValueError(
            f"WORLD_SIZE is {count}, but not all {count} processes have joined within {JOIN_SECONDS} seconds; start "
            "all of them with torchrun, or leave WORLD_SIZE out for one process"
        ) from None
    store.set_timeout(timedelta(minutes=30))  # of what comes later: one process may work while the others wait
    dist.init_process_group(backend, store=dist.PrefixStore("joined", store), rank=number, world_size=count)


def sum_over_processes(x: Tensor) -> Tensor:
    """The sum of the `x` of all processes, written into `x` itself, which is returned; it has no gradient."""
    if world() > 1:
        dist.all_reduce(x)
    return x


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over processes, in one message; parameters without a gradient are left out.

    This is what DistributedDataParallel does, without its search for unused parameters.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    if world() == 1 or not gradients:
        return
    flat = sum_over_processes(torch.cat([gradient.flatten() for gradient in gradients])) / world()
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def step_seed(seed: int, step: int) -> int:
    """The seed of everything random in one step (or batch) of a run: `seed` is the run's, `step` the step's number."""
    return seed * SEED_STRIDE + step
