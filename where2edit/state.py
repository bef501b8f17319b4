"""What a training run needs to go on: trained tensors, Adam's moments and the step, as one safetensors file."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


def trained(module: nn.Module) -> dict[str, Tensor]:
    """The tensors of `module` that training changes, by name."""
    return {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}


def write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write safetensors whole or not at all; what was at `path` stays until the new file is complete."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    save_file({name: value.contiguous().cpu() for name, value in tensors.items()}, partial, metadata)
    os.replace(partial, path)


def save_state(path: Path, module: nn.Module, optimizer: torch.optim.Adam, step: int, fingerprint: str) -> None:
    """Save parameters and optimizer of a run; `fingerprint` says which config it belongs to."""
    names = {id(p): name for name, p in module.named_parameters()}
    tensors = {f"parameter.{name}": value for name, value in trained(module).items()}
    for p, state in optimizer.state.items():
        tensors |= {f"optimizer.{key}.{names[id(p)]}": torch.as_tensor(value) for key, value in state.items()}
    write(path, tensors, {"format": "where2edit-training", "step": str(step), "fingerprint": fingerprint})


def load_state(path: Path, module: nn.Module, optimizer: torch.optim.Adam, fingerprint: str) -> int:
    """Restore a run and return its step; 0 when there is none. Raises ValueError for a run of another config."""
    if not path.is_file():
        return 0
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} cannot be read ({error}); delete it to start over") from None
    if metadata.get("fingerprint") != fingerprint:
        raise ValueError(
            f"{path} belongs to another config ({metadata.get('fingerprint')}, not {fingerprint}); "
            "use another --out, or delete that folder to start over"
        )
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, p in parameters.items():
            if p.requires_grad:
                p.copy_(tensors[f"parameter.{name}"])
                keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"optimizer.{key}.{name}" in tensors]
                if keys:
                    moments = {key: tensors[f"optimizer.{key}.{name}"] for key in keys}
                    optimizer.state[p] = {k: v if k == "step" else v.to(p) for k, v in moments.items()}
    return int(metadata["step"])
