"""The snapshot of a training run from which it goes on: one safetensors file beside its log.

Its tensors: `parameter.<name>` and `buffer.<name>` of the trained module, `optimizer.<key>.<name>` of each parameter
(Adam's step, exp_avg and exp_avg_sq) and `extra.<name>`, whatever else the trainer keeps. Its metadata: the step, the
fingerprint of the config and a digest of the tensors' names and shapes. Random numbers need no state: they are drawn
from (seed, step).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from where2edit.files import tensorfile
from where2edit.files.fingerprints import digest
from where2edit.files.regular import NAME, shown
from where2edit.files.tensor_checks import fitted

KIND = "training"  # of the file of a snapshot
STATE = "state.safetensors"  # its name in the run's folder
EXTRA, OPTIMIZER = "extra.", "optimizer."
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what Adam keeps of each parameter
LONGEST_STEP = 12  # digits
ADVICE = "delete it to start over"


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
        tensors |= {f"{OPTIMIZER}{key}.{names[id(p)]}": torch.as_tensor(value) for key, value in state.items()}
    tensors |= {EXTRA + name: value for name, value in (extra or {}).items()}
    about = {"step": str(step), "fingerprint": fingerprint, "layout": layout(tensors)}
    tensorfile.write(path, tensors, KIND, about)


def stored_step(path: Path, fingerprint: str) -> int:
    """The step of the run at `path`, 0 when there is none. Raises ValueError for a run of another config."""
    if not path.is_file():
        return 0
    metadata = tensorfile.read_metadata(path, KIND, ADVICE)
    if metadata.get("fingerprint") != fingerprint:
        raise ValueError(
            f"{path} belongs to another config ({shown(metadata.get('fingerprint'), NAME)}, not {fingerprint}); "
            "use another --out, or delete that folder to start over"
        )
    step = metadata.get("step", "")
    if not (step.isascii() and step.isdecimal() and len(step) <= LONGEST_STEP and int(step)):
        raise ValueError(f"{shown(path)} says step={shown(step, NAME)!r}, expected a number from 1 on; {ADVICE}")
    return int(step)


@torch.no_grad()
def load_state(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, fingerprint: str
) -> tuple[int, dict[str, Tensor]]:
    """Restore module and optimizer; returns the step (0 where there is no run) and the extra tensors, on the CPU.

    Raises ValueError for a run of another config, and for tensors that are not exactly what such a run saves.
    """
    step = stored_step(path, fingerprint)
    if step == 0:
        return 0, {}
    tensors, metadata = tensorfile.read(path, KIND, ADVICE)
    if metadata.get("layout", layout(tensors)) != layout(tensors):
        raise ValueError(f"{shown(path)} does not hold the tensors that were saved; {ADVICE}")
    extra = {name.removeprefix(EXTRA): value for name, value in tensors.items() if name.startswith(EXTRA)}
    tensors = {name: value for name, value in tensors.items() if not name.startswith(EXTRA)}
    tensors = fitted(tensors, _expected(module, tensors), path, "this run", ADVICE)
    for name, buffer in _buffers(module).items():
        buffer.copy_(tensors[f"buffer.{name}"])
    for name, p in module.named_parameters():
        p.copy_(tensors[f"parameter.{name}"])
        if f"{OPTIMIZER}step.{name}" in tensors:
            moments = {key: tensors[f"{OPTIMIZER}{key}.{name}"] for key in MOMENTS}
            _check_moments(moments, step, name, path)
            # Adam counts its steps on the CPU, unless it is fused.
            there = {"step"} if not optimizer.defaults.get("fused") else set()
            optimizer.state[p] = {k: v if k in there else v.to(p) for k, v in moments.items()}
    return step, extra


def layout(tensors: Mapping[str, Tensor]) -> str:
    """A digest of names, shapes and number types, by which a missing tensor is missed."""
    return digest([[name, list(value.shape), str(value.dtype)] for name, value in sorted(tensors.items())])


def _expected(module: nn.Module, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that a run of `module` saves, but for the extra ones.

    A parameter that a schedule has kept frozen so far has no moments; of any other all are there.
    """
    expected = {f"buffer.{name}": value for name, value in _buffers(module).items()}
    for name, p in module.named_parameters():
        expected[f"parameter.{name}"] = p
        if any(f"{OPTIMIZER}{key}.{name}" in found for key in MOMENTS):
            expected |= {f"{OPTIMIZER}{key}.{name}": torch.zeros(()) if key == "step" else p for key in MOMENTS}
    return expected


def _check_moments(moments: Mapping[str, Tensor], step: int, name: str, path: Path) -> None:
    """Raise ValueError for moments that Adam cannot have after `step` steps."""
    made = moments["step"].item()
    if not (1 <= made <= step and made == int(made) and (moments["exp_avg_sq"] >= 0).all()):
        raise ValueError(f"{shown(path)} holds moments of '{shown(name)}' that no run of {step} steps has; {ADVICE}")


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    """The buffers that belong to the module's state (running statistics, for example), by name."""
    kept = module.state_dict().keys()
    return {name: value for name, value in module.named_buffers() if name in kept}
