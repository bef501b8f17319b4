"""One process or many: the few calls that training needs, each the identity when torch.distributed is not in use."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from where2edit.core.devices import resolve_device

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
    """Join torchrun's process group where there is one, and name this process's device (see `resolve_device`)."""
    device = resolve_device(device)
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not active():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return device


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
