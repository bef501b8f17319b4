"""Safetensors that describe themselves: tensors with a metadata of strings, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from where2edit.files.atomic import atomic_write

PREFIX = "where2edit."  # of the metadata entry "format", which says what the tensors are


def write(path: str | Path, tensors: Mapping[str, Tensor], kind: str, metadata: Mapping[str, str]) -> Path:
    """Write `tensors` with format=where2edit.<kind>; an interrupted write leaves what was there before."""
    path = Path(path)
    with atomic_write(path) as file:
        save_file(_separate(tensors), file, {**metadata, "format": PREFIX + kind})
        _sort_header(file)
    return path


def read(path: str | Path, kind: str | None = None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file. Raises ValueError unless its format is where2edit.<kind> (None: any)."""
    if not Path(path).is_file():
        raise ValueError(f"no weights at {path}; official files are turned into safetensors by scripts/convert.py")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not safetensors ({error}); official files go through scripts/convert.py") from None
    found = metadata.get("format", "nothing")
    if kind is not None and found != PREFIX + kind:
        raise ValueError(f"{path} says format={found}, expected {PREFIX}{kind}; make it with scripts/convert.py")
    return tensors, metadata


def _sort_header(path: Path) -> None:
    """Give the header one order: safetensors writes the metadata in another one each time, and so other bytes."""
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.dumps(json.loads(file.read(size)), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        text = header.encode()
        if len(text) > size:
            raise OSError(f"the header of {path} grew from {size} to {len(text)} bytes")
        file.seek(8)
        file.write(text.ljust(size))


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
