"""Latents on disk: one tensor `w` of [512] or [L,512] as safetensors, what `--latent` reads and every edit leaves.

Legend: L w codes.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from where2edit.files import tensorfile


def load_latent(path: str | Path) -> Tensor:
    """The tensor `w` of a safetensors file, [512] or [L,512], as [1,...]. Raises ValueError for anything else."""
    tensors, _ = tensorfile.read(path, advice="save one tensor 'w' as safetensors")
    if "w" not in tensors or tensors["w"].ndim not in (1, 2):
        shapes = {name: list(value.shape) for name, value in tensors.items()}
        raise ValueError(f"{path} must hold one tensor 'w' of [512] or [L,512], got {shapes}")
    if not torch.isfinite(tensors["w"]).all():
        raise ValueError(f"the latent {path} holds values that are not finite; no face can be made of it")
    return tensors["w"].float()[None]


def save_latent(w: Tensor, path: Path) -> None:
    """Write w [1,L,512] as safetensors, for `--latent`."""
    tensorfile.write(path, {"w": w[0]}, "latent", {})
