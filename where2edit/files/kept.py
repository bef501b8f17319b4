"""Tensors that take seconds to make and depend on nothing but what they are made from: kept in the cache folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from torch import Tensor

from where2edit.files import tensorfile
from where2edit.files.cache import cache_folder
from where2edit.files.fingerprints import digest


def kept(
    kind: str, made_from: Any, shapes: Mapping[str, tuple[int, ...]], make: Callable[[], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """The tensors that `make` gives, on the CPU; from the second time on as they were written the first time.

    kind: names their folder and file. made_from: everything that they depend on, as JSON can hold it. shapes: theirs,
    by name; a file that holds anything else, or is damaged, is made again. Where there is no cache or it cannot be
    written, they are made each time.
    """
    path = None
    with suppress(ValueError):  # no home to have a cache in, no file, or a damaged one
        path = cache_folder() / kind / f"{digest(made_from)}.safetensors"
        tensors, _ = tensorfile.read(path, kind)
        if {name: tuple(value.shape) for name, value in tensors.items()} == dict(shapes):
            return {name: value.clone() for name, value in tensors.items()}  # sums round by where memory begins
    tensors = {name: value.cpu() for name, value in make().items()}
    if path is not None:
        with suppress(OSError):
            tensorfile.write(path, tensors, kind, {})
    return tensors
