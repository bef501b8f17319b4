"""Makers of the torch tensors that a pickle names: views of the numbers beside it, after a look at their bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from where2edit.files.formats.pickled_arrays import numpy_makers
from where2edit.files.formats.pickled_values import Name, Refused

STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}
QUANTISED = ("QInt8Storage", "QUInt8Storage", "QInt32Storage", "QUInt4x2Storage", "QUInt2x4Storage")
OTHER_KINDS = {  # functions of torch that make what is no plain tensor -> what that is
    "_rebuild_sparse_tensor": "a sparse tensor; save it as a plain one (tensor.to_dense())",
    "_rebuild_sparse_csr_tensor": "a sparse tensor; save it as a plain one (tensor.to_dense())",
    "_rebuild_qtensor": "a quantised tensor; save it as a plain one (tensor.dequantize())",
    "_rebuild_meta_tensor_no_storage": "a tensor without numbers (device meta); save the network with its weights",
    "_rebuild_nested_tensor": "a nested tensor; save its parts",
    "_rebuild_wrapper_subclass": "a tensor of a class of its own; save it as a plain one",
}
REBUILDS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
MOST_NUMBERS = 1 << 28  # of one tensor, also of one that shows few numbers at many places
MOST_AXES = 16


def storage_type(name: Any) -> torch.dtype:
    """The number type of a storage that a pickle names. Raises Refused for one that is not read."""
    kind = name.text.removeprefix("torch.") if isinstance(name, Name) else ""
    if kind in QUANTISED:
        raise Refused(f"it holds {OTHER_KINDS['_rebuild_qtensor']}")
    if kind not in STORAGES:
        raise Refused("it refers to numbers of a kind that is not known")
    return STORAGES[kind]


def flat_tensor(data: Any, dtype: torch.dtype) -> Tensor:
    """The 1-D tensor over a writable buffer of whole numbers."""
    return torch.frombuffer(data, dtype=dtype) if len(data) else torch.empty(0, dtype=dtype)


def rebuild(flat: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """The tensor of a size and strides over a flat one; Refused where it would reach past it, or be too large."""
    numbers = (offset, *size, *stride) if type(size) is tuple and type(stride) is tuple else ("no size",)
    plain = all(type(n) is int and 0 <= n < 1 << 62 for n in numbers) and len(size) == len(stride) <= MOST_AXES
    if not (plain and isinstance(flat, Tensor)):
        raise Refused("it describes a tensor in a way that is not known")
    count = math.prod(size)
    if count > MOST_NUMBERS:
        raise Refused(f"it holds a tensor of {count} numbers, at most {MOST_NUMBERS} are read")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if count and last >= flat.numel():
        raise Refused("it holds a tensor that does not fit its storage")
    return torch.as_strided(flat, size, stride, offset) if count else torch.empty(size, dtype=flat.dtype)


def tensor_makers() -> dict[str, Any]:
    """What torch writes for tensors in plain containers, beside arrays of NumPy."""
    makers = numpy_makers() | {
        **dict.fromkeys(REBUILDS, rebuild),
        "torch._utils._rebuild_parameter": lambda data, *_: data,
        "torch._utils._rebuild_parameter_with_state": lambda data, *_: data,
        "torch.Size": lambda size: tuple(size),
        "torch.device": lambda kind, index=None: str(kind),
        "torch.serialization._get_layout": lambda layout: str(layout),
    }
    makers |= {f"torch._utils.{name}": _refuse(words) for name, words in OTHER_KINDS.items()}
    makers |= {f"torch.{name}": None for name in (*STORAGES, *QUANTISED)}
    return makers | {str(dtype): None for dtype in STORAGES.values()}


def _refuse(words: str) -> Callable[..., Any]:
    """A maker of what is not read."""

    def refuse(*_: Any) -> Any:
        raise Refused(f"it holds {words}")

    return refuse
