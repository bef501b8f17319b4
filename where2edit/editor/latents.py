"""Latents on disk: the w of a face, in whatever file people have it, and as every edit leaves it.

Legend: L w codes of W = 512 numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from where2edit.files import tensorfile
from where2edit.files.formats.tensor_files import read_tensors
from where2edit.files.regular import shown
from where2edit.files.tensor_checks import FLOATS, checked
from where2edit.generators.base import Generator

NAMES = ("w", "latent", "latents", "w_plus", "projected_w", "dlatents", "latent_codes")  # that a latent may have
ADVICE = "save one tensor 'w' of [512] or [L,512] as safetensors, .pt, .npy or .npz"
LARGEST = 1000.0  # number in a latent; those of faces are below 50
DEEPEST = 3  # mappings within mappings


def load_latent(path: str | Path, generator: Generator | None = None) -> Tensor:
    """The latent of one face in a file, [W] or [L,W] with or without a first axis of 1, as [1,W] or [1,L,W].

    The file is a safetensors, .pt, .npy or .npz that holds one tensor, or several of which one has a name among NAMES.
    Raises ValueError for anything else (a `z` is no w), for numbers that no face has, and for one that the `generator`
    cannot read.
    """
    w = _only_tensor(read_tensors(path, "latent", ADVICE), path)
    shape = list(w.shape)
    if w.dtype not in FLOATS or w.ndim not in (1, 2, 3) or w.numel() == 0:
        got = f"got {w.dtype} {shape[:6]}"
        raise ValueError(f"{shown(path)} must hold one tensor 'w' of [512] or [L,512], {got}; {ADVICE}")
    if w.ndim == 3 and len(w) != 1:
        raise ValueError(f"{shown(path)} holds the latents of {len(w)} faces, {shape}; save one of them")
    w = checked(w, "w", path).float()
    if w.abs().max() > LARGEST:
        raise ValueError(f"{shown(path)} holds numbers up to {w.abs().max():.3g}; no face can be made of that latent")
    w = w.reshape(1, shape[-1]) if w.numel() == shape[-1] else w.reshape(1, *shape[-2:])
    try:
        if generator is not None:
            generator.check_w(generator.from_w_plus(w))
    except ValueError as error:
        raise ValueError(f"{shown(path)} does not fit: {error}; {ADVICE}") from None
    return w


def _only_tensor(tree: Any, path: str | Path, depth: int = 0) -> Tensor:
    """The tensor that a file holds: the only one, or the one of a known name. Raises ValueError for none or several."""
    if isinstance(tree, Mapping) and depth < DEEPEST:
        named = next((tree[name] for name in NAMES if name in tree), None)
        if named is None and len(tree) == 1 and "z" not in tree:
            named = next(iter(tree.values()))
        if named is not None:
            return _only_tensor(named, path, depth + 1)
        found = ", ".join(f"'{shown(name)}'" for name in list(tree)[:4]) or "nothing"
        raise ValueError(f"{shown(path)} must hold one tensor 'w' of [512] or [L,512], got {found}; {ADVICE}")
    return torch.as_tensor(tree) if type(tree).__name__ == "ndarray" else checked(tree, "w", path)


def read_as(generator: Generator, path: str | Path) -> str:
    """A sentence on how the latent in a file is read where its codes are not one for each site; "" where they are."""
    w = load_latent(path)
    if not generator.has_w_plus(w):
        return ""
    codes = f"{w.shape[1]} codes, StyleGAN2's W+: each of the {generator.num_w} sites of '{generator.name}'"
    return f"note: {shown(path)} holds {codes} gets the code of its resolution and role"


def save_latent(w: Tensor, path: Path) -> None:
    """Write w [1,L,512] as safetensors, for `--latent`."""
    tensorfile.write(path, {"w": w[0]}, "latent", {})
