"""What a training run needs to go on: trained tensors, Adam's moments and the step, as one safetensors file."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from where2edit.files import tensorfile

KIND = "training"  # of a file that a run goes on from


def trained(module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a method that training changes, by name, also those that its schedule keeps frozen for now.

    A method holds no frozen network as a submodule, so that these are all of its parameters.
    """
    return {name: p.detach() for name, p in module.named_parameters()}


def save_state(path: Path, module: nn.Module, optimizer: torch.optim.Adam, step: int, fingerprint: str) -> None:
    """Save parameters and optimizer of a run; `fingerprint` says which config it belongs to."""
    names = {id(p): name for name, p in module.named_parameters()}
    tensors = {f"parameter.{name}": value for name, value in trained(module).items()}
    for p, state in optimizer.state.items():
        tensors |= {f"optimizer.{key}.{names[id(p)]}": torch.as_tensor(value) for key, value in state.items()}
    tensorfile.write(path, tensors, KIND, {"step": str(step), "fingerprint": fingerprint})


def stored_step(path: Path, fingerprint: str) -> int:
    """The step of the run at `path`, 0 when there is none. Raises ValueError for a run of another config."""
    if not path.is_file():
        return 0
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} cannot be read ({error}); delete it to start over") from None
    if metadata.get("fingerprint") != fingerprint:
        raise ValueError(
            f"{path} belongs to another config ({metadata.get('fingerprint')}, not {fingerprint}); "
            "use another --out, or delete that folder to start over"
        )
    return int(metadata["step"])


def load_state(path: Path, module: nn.Module, optimizer: torch.optim.Adam, fingerprint: str) -> int:
    """Restore a run and return its step; 0 when there is none. Raises ValueError for a run of another config."""
    step = stored_step(path, fingerprint)
    if step == 0:
        return 0
    tensors, _ = tensorfile.read(path, KIND)
    with torch.no_grad():
        for name, p in module.named_parameters():
            p.copy_(tensors[f"parameter.{name}"])
            keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"optimizer.{key}.{name}" in tensors]
            if keys:
                moments = {key: tensors[f"optimizer.{key}.{name}"] for key in keys}
                # Adam counts its steps on the CPU.
                optimizer.state[p] = {k: v if k == "step" else v.to(p) for k, v in moments.items()}
    return step
