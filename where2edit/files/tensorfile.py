"""Safetensors files with metadata that says what they hold, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from where2edit.files.atomic import atomic_write

PREFIX = "where2edit."  # of the metadata entry "format"; what follows is the kind, such as "editor"
CONVERT = "official files are turned into safetensors by scripts/convert.py"


def write(path: str | Path, tensors: Mapping[str, Tensor], kind: str, metadata: Mapping[str, str]) -> Path:
    """Write `tensors` with format=where2edit.<kind> in the metadata; the same content gives the same bytes.

    The folder is made. An interrupted write leaves what was there before. Raises OSError when the place cannot be
    written.
    """
    path = Path(path)
    with atomic_write(path) as file:
        save_file(_separate(tensors), file, {**metadata, "format": PREFIX + kind})
        _sort_header(file)
    return path


def read(path: str | Path, kind: str | None = None, advice: str = CONVERT) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors, on the CPU, and metadata of a file.

    Raises ValueError for a file that is missing or broken, and unless its format is where2edit.<kind> (None: any format
    or none). `advice` ends the error's sentence: where such a file comes from.
    """
    with _opened(path, kind, advice) as (file, metadata):
        return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118


def read_metadata(path: str | Path, kind: str | None = None, advice: str = CONVERT) -> dict[str, str]:
    """The metadata alone, without reading the tensors. Raises ValueError as `read` does."""
    with _opened(path, kind, advice) as (_, metadata):
        return metadata


@contextmanager
def _opened(path: str | Path, kind: str | None, advice: str) -> Iterator[tuple[safe_open, dict[str, str]]]:
    """The opened file and its metadata, whose format is checked."""
    if not Path(path).is_file():
        raise ValueError(f"no weights at {path}; {advice}")
    try:
        with safe_open(path, "pt") as file:
            metadata = _with_format(file.metadata() or {})
            found = metadata.get("format", "nothing")
            if kind is not None and found != PREFIX + kind:
                raise ValueError(f"{path} says format={found}, expected {PREFIX}{kind}; {advice}")
            yield file, metadata
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a safetensors file ({error}); {advice}") from None


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
