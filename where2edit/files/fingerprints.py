"""Fingerprints of files, configs, tensors and checkouts, which weights, reports and caches record."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterable
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from where2edit.core.config import as_dict
from where2edit.files.regular import regular_file

MOST_BYTES = 1 << 33  # of a file that is hashed
BLOCK = 1 << 20  # bytes of a file that are read at once
DIGITS = 12  # hex digits of a digest: short enough for a file name, long enough for all configs that anyone will write


def file_sha256(path: str | Path, absent: str | None = None) -> str:
    """Hex sha256 of a file's content; `absent` where there is no file. Raises OSError for a file that cannot be read.

    With `absent=None` a missing file raises OSError as well. Raises ValueError for what is no file (a pipe, a device).
    """
    if absent is not None and not Path(path).is_file():
        return absent
    if Path(path).exists():
        regular_file(path, "file", MOST_BYTES)
    total = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(BLOCK):
            total.update(block)
    return total.hexdigest()


def text_sha256(text: str) -> str:
    """Hex sha256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest(tree: Any) -> str:
    """First 12 hex digits of the sha256 of anything that JSON can hold; the order of keys does not matter."""
    return text_sha256(json.dumps(tree, sort_keys=True))[:DIGITS]


def config_digest(config: Any, without: Iterable[str] = ()) -> str:
    """The digest of a config (a dataclass) with every resolved value; stands in reports and weights.

    `without`: keys such as training.steps that are left out, since they do not tell one config from another there.
    """
    tree = as_dict(config)
    for key in without:
        *sections, last = key.split(".")
        del reduce(lambda inner, section: inner[section], sections, tree)[last]
    return digest(tree)


def network_sha256(network: object) -> str:
    """Hex sha256 of the tensors of a network, sorted by name; for anything else, that of no bytes."""
    total = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()) if isinstance(network, nn.Module) else ():
        total.update(name.encode())
        total.update(_content(value))
    return total.hexdigest()


def tensor_sha256(x: Tensor) -> str:
    """Hex sha256 of a tensor: its shape, its number type and its numbers."""
    return hashlib.sha256(f"{list(x.shape)} {x.dtype} ".encode() + _content(x).tobytes()).hexdigest()


def _content(x: Tensor) -> memoryview:
    """The bytes of a tensor."""
    return x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def commit(short: bool = False) -> str:
    """The git commit of the checkout that this code runs from; "" where it runs from none, such as when installed.

    The checkout of the current folder, or one that merely holds the environment of this package, does not count.
    """
    checkout = Path(__file__).resolve().parents[2]
    command = ["git", "rev-parse", "--show-toplevel", *(["--short"] if short else []), "HEAD"]
    try:
        answer = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = answer.stdout.split("\n")
    return lines[1] if answer.returncode == 0 and Path(lines[0]).resolve() == checkout else ""
