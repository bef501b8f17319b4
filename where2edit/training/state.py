"""The snapshot of a training run from which it goes on: one safetensors file beside its log.

Its tensors: `parameter.<name>` and `buffer.<name>` of the trained module, `optimizer.<key>.<name>` of each parameter
(Adam's step, exp_avg and exp_avg_sq) and `extra.<name>`, whatever else the trainer keeps. Its metadata: the step and
the fingerprint of the config. Random numbers need no state: they are drawn from (seed, step).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from where2edit.files import tensorfile

KIND = "training"  # of the file of a snapshot
STATE = "state.safetensors"  # its name in the run's folder
EXTRA = "extra."


def trained(module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a module that training changes, by name, also those that a schedule keeps frozen for now.

    A method holds no frozen network as a submodule, so that these are all of its parameters.
    """
    return {name: p.detach() for name, p in module.named_parameters()}


def save_state(
    path: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    fingerprint: str,
    extra: Mapping[str, Tensor] | None = None,
) -> None:
    """Save a run after `step` steps, whole or not at all; `fingerprint` says which config it belongs to."""
    names = {id(p): name for name, p in module.named_parameters()}
    tensors = {f"parameter.{name}": value for name, value in trained(module).items()}
    tensors |= {f"buffer.{name}": value for name, value in _buffers(module).items()}
    for p, state in optimizer.state.items():
        tensors |= {f"optimizer.{key}.{names[id(p)]}": torch.as_tensor(value) for key, value in state.items()}
    tensors |= {EXTRA + name: value for name, value in (extra or {}).items()}
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


@torch.no_grad()
def load_state(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, fingerprint: str
) -> tuple[int, dict[str, Tensor]]:
    """Restore module and optimizer; returns the step (0 where there is no run) and the extra tensors, on the CPU.

    Raises ValueError for a run of another config.
    """
    step = stored_step(path, fingerprint)
    if step == 0:
        return 0, {}
    tensors, _ = tensorfile.read(path, KIND)
    for name, buffer in _buffers(module).items():
        buffer.copy_(tensors[f"buffer.{name}"])
    for name, p in module.named_parameters():
        p.copy_(tensors[f"parameter.{name}"])
        keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"optimizer.{key}.{name}" in tensors]
        if keys:
            moments = {key: tensors[f"optimizer.{key}.{name}"] for key in keys}
            # Adam counts its steps on the CPU.
            optimizer.state[p] = {k: v if k == "step" else v.to(p) for k, v in moments.items()}
    return step, {name.removeprefix(EXTRA): value for name, value in tensors.items() if name.startswith(EXTRA)}


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    """The buffers that belong to the module's state (running statistics, for example), by name."""
    kept = module.state_dict().keys()
    return {name: value for name, value in module.named_buffers() if name in kept}
