"""Trained models of a method that learns one prompt: a file for each prompt in one folder, and an index of them.

The index, index.json, says for each prompt which file is its model, the sha256 of that file, the digest of the config
that it was trained with, and how many steps it has made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from where2edit.core.config import build
from where2edit.files import tensorfile
from where2edit.files.atomic import write_text
from where2edit.files.fingerprints import DIGITS, digest, file_sha256
from where2edit.files.json_files import read_json
from where2edit.files.regular import shown
from where2edit.methods.prompt_models import plain

INDEX = "index.json"
WHAT = "index of trained prompts"
PROMPT = "prompt"  # entry of the metadata of a model


@dataclass(frozen=True)
class TrainedPrompt:
    """One entry of an index."""

    file: str  # its name, in the folder of the index
    sha256: str
    config: str  # digest of the config that it was trained with
    steps: int

    def __post_init__(self):
        if Path(self.file).name != self.file:
            raise ValueError(
                f"a model's file is {self.file[:60]!r}; give a name in the folder of the index, not a path"
            )


def read_index(folder: Path) -> dict[str, TrainedPrompt]:
    """The trained prompts of a folder, none where it has no index. Raises ValueError for a file that is no index."""
    path = folder / INDEX
    if not path.exists():
        return {}
    tree = read_json(path, WHAT)
    if not isinstance(tree, dict) or not tree:
        raise ValueError(f"{shown(path)} is no {WHAT}; train again into another folder")
    try:
        return {prompt: build(TrainedPrompt, entry, "model") for prompt, entry in tree.items()}
    except ValueError as error:
        raise ValueError(f"{shown(path)} is no {WHAT} ({error}); train again into another folder") from None


def add_to_index(folder: Path, trained: Mapping[str, TrainedPrompt]) -> None:
    """Write the index with these prompts beside, or in place of, those that it has."""
    entries = read_index(folder) | {plain(prompt): entry for prompt, entry in trained.items()}
    tree = {prompt: asdict(entries[prompt]) for prompt in sorted(entries)}
    write_text(folder / INDEX, json.dumps(tree, indent=2, ensure_ascii=False) + "\n")


def model_file(prompt: str) -> str:
    """The name of a prompt's file: its words, as far as a name can spell them, and a digest that tells all apart."""
    words = re.sub(r"[^a-z0-9]+", "-", plain(prompt)).strip("-")[:40]
    return f"{words or 'prompt'}-{digest(plain(prompt))[: DIGITS // 2]}.safetensors"


def model_files(path: Path) -> dict[str, Path]:
    """The models {prompt: file} that an index, or a single file of a model, stands for.

    Raises ValueError for a model that is missing or is not the one that was trained, and for a file that names no
    prompt.
    """
    if path.name != INDEX:
        metadata = tensorfile.read_metadata(path, advice="train it by scripts/train.py --prompt")
        return {tensorfile.entry(metadata, PROMPT, path): path}
    found = {prompt: (path.parent / entry.file, entry.sha256) for prompt, entry in read_index(path.parent).items()}
    for prompt, (file, sha256) in found.items():
        if file_sha256(file, absent="") != sha256:
            raise ValueError(
                f"{shown(file)}, the model of '{shown(prompt)}', is missing or has changed since it was trained; "
                f"get it again, or train it again into another folder"
            )
    return {prompt: file for prompt, (file, _) in found.items()}
