"""Makers of the NumPy arrays and plain containers that a pickle names: built here, from the fields that stand there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from where2edit.files.formats.pickled_values import Attributes, Name, Pending, Refused, key

CODES = ("?", "b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")  # of the number types
MOST_AXES = 32


class _NumberType(Pending):
    """numpy.dtype: its code comes first, its byte order with the state."""

    def __init__(self, code: Any):
        if code not in CODES:
            raise Refused("it holds an array of something other than plain numbers")
        self.code = code

    def build(self, state: Any) -> np.dtype:
        if type(state) is not tuple or len(state) < 5 or state[1] not in ("<", ">", "|", "=") or any(state[2:5]):
            raise Refused("it describes the numbers of an array in a way that is not known")
        return np.dtype(f"{state[1]}{self.code}")


class _Array(Pending):
    """An array without its state: version, shape, type, order and bytes."""

    def build(self, state: Any) -> np.ndarray:
        if type(state) is not tuple or len(state) != 5:
            raise Refused("it describes an array in a way that is not known")
        _, shape, dtype, fortran, data = state
        return _array(data, dtype, shape, "F" if fortran else "C")


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """The array of a buffer, in the byte order of this machine. Raises Refused where shape and bytes differ."""
    data = data.encode("latin1") if isinstance(data, str) else data
    whole = type(shape) is tuple and len(shape) <= MOST_AXES and all(type(n) is int and n >= 0 for n in shape)
    if not (whole and isinstance(dtype, np.dtype) and isinstance(data, bytes | bytearray) and order in ("C", "F")):
        raise Refused("it describes an array in a way that is not known")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise Refused(f"it holds an array whose shape and {len(data)} bytes do not go together")
    return np.frombuffer(bytearray(data), dtype).reshape(shape, order=order).astype(dtype.newbyteorder("="), copy=False)


def _scalar(dtype: Any, data: Any) -> float | int | bool:
    """numpy's scalar as a plain number."""
    return _array(data, dtype, (), "C").item()


def _latin1(text: Any, encoding: Any) -> bytes:
    """What stands for `_codecs.encode`: protocols 0 to 2 write bytes as latin1 text."""
    if encoding != "latin1" or type(text) is not str:
        raise Refused("it encodes bytes in a way that is not known; only latin1 is read")
    return text.encode("latin1")


def _bytearray(data: Any = b"") -> bytes:
    if type(data) is not bytes:
        raise Refused(f"it makes bytes of a {type(data).__name__}")
    return data


def dictionary(items: Any = ()) -> dict:
    """A dictionary from pairs or from another one."""
    pairs = items.items() if isinstance(items, dict) else items
    return {key(name): value for name, value in pairs}


def _set(items: Any = ()) -> set:
    return set(map(key, items))


def plain_makers() -> dict[str, Any]:
    """Containers, bytes and options, under the names of every Python."""
    makers: dict[str, Any] = {"_codecs.encode": _latin1, "argparse.Namespace": Attributes}
    makers |= {"collections.OrderedDict": dictionary, "collections.Counter": dictionary}
    makers["collections.defaultdict"] = lambda kind=None, items=(): dictionary(items)
    for module in ("builtins", "__builtin__"):
        makers |= {f"{module}.set": _set, f"{module}.frozenset": _set, f"{module}.bytearray": _bytearray}
        makers |= {f"{module}.{kind}": None for kind in ("list", "dict", "int", "float")}
    return makers


def numpy_makers() -> dict[str, Any]:
    """What NumPy 1 and 2 write for arrays, scalars and number types, and plain containers."""
    makers = plain_makers() | {
        "numpy.ndarray": None,
        "numpy.dtype": lambda code, align=False, copy=True: _NumberType(code),
    }
    for core in ("numpy.core", "numpy._core"):
        makers[f"{core}.multiarray._reconstruct"] = _reconstruct
        makers[f"{core}.multiarray.scalar"] = _scalar
        makers[f"{core}.numeric._frombuffer"] = _array
    return makers


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    """An array whose state follows. Raises Refused for subclasses."""
    if kind != Name("numpy.ndarray"):
        raise Refused("it holds an array of a class of its own")
    return _Array()
