"""Trained editors on disk: finding their files, reading them, and publishing them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from where2edit.core import config
from where2edit.core.registry import nearest
from where2edit.editor.migration import current_name
from where2edit.editor.profile import Profile
from where2edit.files import assets, formats, manifest, tensorfile
from where2edit.files.fingerprints import config_digest, file_sha256
from where2edit.methods.base import Method
from where2edit.training.state import trained


def find_weights(weights: str) -> Path:
    """The file of weights that a config names: an asset, a file of the project, or any path.

    An asset of an official format is converted to safetensors on first use. Raises ValueError where there is no such
    file.
    """
    if weights in manifest.entries():
        return formats.located(weights)
    found = next((p for p in (Path(weights), assets.shipped(weights)) if p.is_file()), None)
    if found is None:
        raise ValueError(
            f"no weights at {weights}: neither a file nor an asset; {nearest(weights, manifest.entries())}"
        )
    return found


def load_editor(method: Method, path: Path) -> None:
    """Fill a method's trained tensors from safetensors. Raises ValueError when the file does not fit."""
    stored, _ = tensorfile.read(path, advice="train an editor with scripts/train.py")
    tensors = {current_name(name): value for name, value in stored.items()}
    own = dict(method.named_parameters())
    wrong = [name for name in own.keys() | tensors.keys() if name not in tensors or name not in own]
    wrong += [name for name in own.keys() & tensors.keys() if own[name].shape != tensors[name].shape]
    if wrong:
        raise ValueError(
            f"{path} does not fit this config: {', '.join(sorted(wrong)[:4])} ({len(wrong)} tensors differ)"
        )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[name])


def editor_tensors(method: Method) -> dict[str, Tensor]:
    """The tensors of a published editor by name: every trained one, as float16. Unfreezes the whole method."""
    method.requires_grad_(True)
    return {name: value.half() for name, value in trained(method).items()}


def publish_editor(method: Method, profile: Profile, path: Path) -> None:
    """Write what others need to edit: trained tensors in float16 and the config in the metadata."""
    metadata = {
        "config": json.dumps(config.as_dict(profile)),
        "config_digest": config_digest(profile),
        "encoder": profile.text_image.name,
        "generator": profile.generator.name,
    }
    tensorfile.write(path, editor_tensors(method), "editor", metadata)


def editor_sha256(profile: Profile, weights: str | None) -> str:
    """sha256 of the file of `weights`, or else of the editor that the profile edits with; "" where there is none."""
    weights = weights or profile.method.weights
    return file_sha256(find_weights(weights)) if weights else ""
