"""Trained editors on disk: finding their files, reading them, and publishing them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from where2edit.core import config
from where2edit.core.registry import Registry, nearest
from where2edit.editor.migration import current_config, current_name
from where2edit.editor.profile import Profile
from where2edit.editor.prompt_weights import INDEX, PROMPT
from where2edit.files import formats, manifest, tensorfile
from where2edit.files.fingerprints import config_digest, file_sha256
from where2edit.files.regular import shown
from where2edit.files.tensor_checks import fitted
from where2edit.generators import GENERATORS
from where2edit.methods.base import Method
from where2edit.text_image import TEXT_IMAGE
from where2edit.training.state import trained

ADVICE = "give the config that it was trained with, or train another editor"
EDITOR = f"{tensorfile.PREFIX}editor"  # what an editor's file says it is
RESULT = "editor.safetensors"  # the file that a training ends with, unless the method learns one prompt


def find_weights(weights: str) -> Path:
    """The file of weights that a config names: an asset, a file of the project, or any path.

    Of a folder with a model for each of several prompts it is the index. An asset of an official format is converted to
    safetensors on first use. Raises ValueError where there is no such file.
    """
    if weights in manifest.entries():
        return formats.located(weights)
    path = manifest.found(weights)
    path = path / INDEX if (path / INDEX).is_file() else path
    if not path.is_file():
        raise ValueError(
            f"no weights at {weights}: neither a file nor an asset; {nearest(weights, manifest.entries())}"
        )
    return path


def load_editor(method: Method, path: Path, profile: Profile | None = None) -> None:
    """Fill a method's trained tensors from safetensors.

    Raises ValueError when the file does not fit: it is no editor, its tensors are not the method's, or it was trained
    on another generator or encoder than those of the method, and of the `profile` where that is given.
    """
    stored, metadata = tensorfile.read(path, advice="train an editor with scripts/train.py")
    if (kind := metadata.get("format", EDITOR)) != EDITOR:
        raise ValueError(f"{shown(path)} does not fit this config: it says format={shown(kind)}, expected {EDITOR}")
    if other := _other_network(metadata, method, profile, path):
        raise ValueError(f"{shown(path)} was trained on another {other} than this config names; {ADVICE}")
    tensors = {current_name(name): value for name, value in stored.items()}
    own = dict(method.named_parameters())
    tensors = fitted(tensors, own, path, "this config", ADVICE)
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[name])


def _other_network(metadata: dict[str, str], method: Method, profile: Profile | None, path: Path) -> str | None:
    """Which network an editor was trained on another of than those here, by its metadata; None where it fits."""
    if profile is None or "config" not in metadata:
        names = (method.frozen.generator.name, profile and profile.generator.name)
        return None if metadata.get("generator", names[0]) in names else "generator"
    made, own = current_config(tensorfile.json_entry(metadata, "config", path)), config.as_dict(profile)
    for what, key, registry in (("generator", "generator", GENERATORS), ("encoder", "text_image", TEXT_IMAGE)):
        if _choice(registry, made.get(key), path) != _choice(registry, own[key], path):
            return what
    return None


def _choice(registry: Registry, section: object, path: Path) -> tuple[str, object]:
    """The name in a section of a config, and the options with their defaults filled in."""
    tree = section if isinstance(section, dict) else {}
    name = str(tree.get("name"))
    try:
        return name, config.build_options(registry, name, tree.get("options", {}), "options")
    except ValueError as error:
        raise ValueError(f"{shown(path)} was trained with a config that is not known here ({error})") from None


def editor_tensors(method: Method) -> dict[str, Tensor]:
    """The tensors of a published editor by name: every trained one, as float16. Unfreezes the whole method."""
    method.requires_grad_(True)
    return {name: value.half() for name, value in trained(method).items()}


def publish_editor(method: Method, profile: Profile, path: Path, prompt: str | None = None) -> None:
    """Write what others need to edit: trained tensors in float16 and the config in the metadata.

    prompt: the only one that the method has learnt, where it learns one.
    """
    metadata = {} if prompt is None else {PROMPT: prompt}
    metadata |= {
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
