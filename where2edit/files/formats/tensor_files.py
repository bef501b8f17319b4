"""Any file that people keep tensors in, told by its content: safetensors, torch's two containers, .npy and .npz."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from where2edit.files import tensorfile
from where2edit.files.formats.torch_files import read_torch
from where2edit.files.formats.zip_archives import is_zip, open_zip, small_member
from where2edit.files.regular import regular_file, shown

MOST_BYTES = 1 << 26  # of a file, and of an array
NPY = b"\x93NUMPY"  # begins a .npy


def read_tensors(path: str | Path, what: str, advice: str) -> Any:
    """What a small file of any of these kinds holds: tensors by name, a tensor, or plain containers of them.

    `what` says what the file was wanted for, `advice` what to do. Raises ValueError for anything else.
    """
    file = regular_file(path, what, MOST_BYTES, advice)
    with file.open("rb") as opened:
        start = opened.read(16)
    if start.startswith(NPY):
        return read_npy(file.read_bytes(), str(path))
    if is_zip(file):
        with open_zip(file) as archive:
            arrays = {name: archive for name in archive.namelist() if name.endswith(".npy") and "/" not in name}
            if arrays:
                return {n.removesuffix(".npy"): read_npy(small_member(archive, n), str(path)) for n in arrays}
        return read_torch(file)
    if start[:1] == b"\x80" and start[8:9] != b"{":
        return read_torch(file)
    return tensorfile.read(file, advice=advice)[0]


def read_npy(data: bytes, origin: str) -> Tensor:
    """The array in a .npy as a tensor. Raises ValueError for one of something other than plain numbers."""
    stream = io.BytesIO(data)
    try:
        major, _ = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(stream)
        content = data[stream.tell() :]
        if dtype.kind not in "fiub" or math.prod(shape) * dtype.itemsize != len(content):
            raise ValueError(f"{dtype} {list(shape)[:6]} in {len(content)} bytes")
        array = np.frombuffer(bytearray(content), dtype).reshape(shape, order="F" if fortran else "C")
        return torch.from_numpy(np.ascontiguousarray(array.astype(dtype.newbyteorder("="), copy=False)))
    except Exception as error:  # a damaged header makes each of these fail in its own way
        reason = shown(str(error).split("\n")[0])
        raise ValueError(f"{shown(origin)} is no readable array of plain numbers ({reason}); save it again") from None
