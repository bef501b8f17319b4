"""Safetensors files with metadata that says what they hold, written whole or not at all, and checked when read.

Every file that is written carries the sha256 of its content in its metadata. A file that was damaged since is refused;
so is a shipped one that differs from pretrained_models/SHA256SUMS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from where2edit.files import checksums
from where2edit.files.atomic import atomic_write
from where2edit.files.regular import NAME, regular_file, shown
from where2edit.files.tensor_checks import checked

PREFIX = "where2edit."  # of the metadata entry "format"; what follows is the kind, such as "editor"
CONVERT = "official files are turned into safetensors by scripts/convert.py"
MOST_BYTES = 1 << 33  # of a file: eight times the largest official weights


def write(path: str | Path, tensors: Mapping[str, Tensor], kind: str, metadata: Mapping[str, str]) -> Path:
    """Write `tensors` with format=where2edit.<kind> in the metadata; the same content gives the same bytes.

    The folder is made. An interrupted write leaves what was there before. Raises OSError when the place cannot be
    written.
    """
    path = Path(path)
    with atomic_write(path) as file:
        save_file(_separate(tensors), file, {**metadata, "format": PREFIX + kind, checksums.ENTRY: checksums.EMPTY})
        checksums.seal(file)
    return path


def read(
    path: str | Path, kind: str | None = None, advice: str = CONVERT, finite: bool = True
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors, on the CPU, and metadata of a file.

    Raises ValueError for a file that is missing, broken or changed since it was written, for one with numbers that are
    complex, NaN or infinite (the latter two are allowed by `finite=False`), and unless its format is where2edit.<kind>
    (None: any format or none). `advice` ends the error's sentence: where such a file comes from.
    """
    with _opened(path, kind, advice) as (file, metadata):
        checksums.verify(Path(path), metadata.pop(checksums.ENTRY, None), advice)
        names = file.keys()
        return {name: checked(file.get_tensor(name), name, path, finite) for name in names}, metadata


def read_metadata(path: str | Path, kind: str | None = None, advice: str = CONVERT) -> dict[str, str]:
    """The metadata alone; the tensors are neither read nor verified. Raises ValueError as `read` does."""
    with _opened(path, kind, advice) as (_, metadata):
        metadata.pop(checksums.ENTRY, None)
        return metadata


def intact(path: str | Path, kind: str) -> bool:
    """Whether a file is here, is of this kind, and has the content whose sha256 was written with it."""
    try:
        with _opened(path, kind, "") as (_, metadata):
            checksums.verify(Path(path), metadata.get(checksums.ENTRY), "")
            return checksums.ENTRY in metadata
    except ValueError:
        return False


def entry(metadata: Mapping[str, str], key: str, path: str | Path) -> str:
    """What the metadata of the file `path` says under `key`. Raises ValueError where it says nothing."""
    if not metadata.get(key):
        raise ValueError(f"{shown(path)} does not say its '{key}' in its metadata; get or make the file again")
    return metadata[key]


def json_entry(metadata: Mapping[str, str], key: str, path: str | Path) -> dict:
    """The JSON object in the metadata of the file `path` under `key`. Raises ValueError for anything else."""
    try:
        found = json.loads(entry(metadata, key, path))
    except (json.JSONDecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{shown(path)} says '{key}' in its metadata in a way that is no JSON object; get it again")
    return found


@contextmanager
def _opened(path: str | Path, kind: str | None, advice: str) -> Iterator[tuple[safe_open, dict[str, str]]]:
    """The opened file and its metadata, whose format is checked."""
    file = regular_file(path, "weights", MOST_BYTES, advice)
    try:
        checksums.check_header(file)
        with safe_open(file, "pt") as opened:
            metadata = _with_format(opened.metadata() or {})
            found = metadata.get("format", "nothing")
            if kind is not None and found != PREFIX + kind:
                raise ValueError(f"{shown(path)} says format={shown(found, NAME)}, expected {PREFIX}{kind}; {advice}")
            yield opened, metadata
    except (SafetensorError, OSError, MemoryError, AttributeError) as error:  # AttributeError: a type torch lacks
        reason = shown(str(error).split("header: ")[-1] or type(error).__name__)
        raise ValueError(f"{shown(path)} is not a safetensors file ({reason}); {advice}") from None


def _with_format(metadata: dict[str, str]) -> dict[str, str]:
    """The metadata as `write` would write it.

    Files of the first versions say format=where2edit with the kind under "model" (facetext, judge) or "generator", or
    format=where2edit-faces.
    """
    found = metadata.get("format")
    kind = metadata.get("model") or metadata.get("generator")
    if found == "where2edit" and kind:
        return metadata | {"format": PREFIX + kind}
    return metadata | {"format": f"{PREFIX}faces"} if found == "where2edit-faces" else metadata


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, contiguous, none a view into another's memory: what the format can hold."""
    separate, seen = {}, set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        if not whole or tensor.data_ptr() in seen:
            tensor = tensor.clone()
        seen.add(tensor.data_ptr())
        separate[name] = tensor
    return separate
