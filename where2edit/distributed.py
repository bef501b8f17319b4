"""One process or many: the few calls that training needs, each the identity when torch.distributed is not in use."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def active() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    return dist.get_rank() if active() else 0


def world() -> int:
    return dist.get_world_size() if active() else 1


def mean(values: dict[str, float], device: torch.device) -> dict[str, float]:
    """The mean of every rank's figures, name by name."""
    if world() == 1:
        return values
    # NCCL reduces on its own device only; figures are for people, so that float32 is enough.
    figures = torch.tensor(list(values.values()), device=device)
    dist.all_reduce(figures)
    return dict(zip(values, (figures / world()).tolist(), strict=True))


def leave() -> None:
    """End this process's part in the group, where there is one."""
    if active():
        dist.destroy_process_group()


def gather(x: Tensor, dim: int = 0) -> Tensor:
    """Concatenate every rank's `x` along `dim`; every rank gets the gradient of all."""
    if world() == 1:
        return x
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(x.contiguous()), dim=dim)
