"""The wire format of protocol buffers: enough to read the weights of ONNX and TensorFlow graphs."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from where2edit.files.regular import regular_file, shown

# ONNX TensorProto.DataType and TensorFlow DataType, as far as weights use them.
_ONNX_TYPES = {1: np.float32, 6: np.int32, 7: np.int64, 11: np.float64}
DAMAGE = (LookupError, ValueError, TypeError, struct.error, OverflowError)  # what a damaged graph leads to
AGAIN = "delete it and download it again"
LONGEST_SHIFT = 63  # bits that a number may be moved to the left: it has ten bytes at most
MOST_BYTES = 1 << 30  # of a file
MOST_NUMBERS = 1 << 26  # of a constant that shows one number at all places
_TF_TYPES = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64}


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The integer that begins at byte `at`, seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        if shift > LONGEST_SHIFT:
            raise IndexError("a number of more than 64 bits")
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The (field number, value) pairs of one message; numbers are ints, everything else is a view of its bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
        else:
            length, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            value, at = data[at : at + length], at + length
            if len(value) < length:
                raise IndexError("a field reaches past the end")
        yield key >> 3, value


def message(data: memoryview) -> dict[int, list]:
    """The fields of one message by number, each a list in order of appearance."""
    found: dict[int, list] = {}
    for number, value in fields(data):
        found.setdefault(number, []).append(value)
    return found


def integers(values: list) -> list[int]:
    """A repeated integer field, packed or not; negative numbers come as two's complement of 64 bits."""
    flat: list[int] = []
    for value in values:
        at = 0
        while not isinstance(value, int) and at < len(value):
            number, at = _varint(value, at)
            flat.append(number)
        flat.extend([value] if isinstance(value, int) else [])
    return [number - (1 << 64) if number >> 63 else number for number in flat]


def text(values: list) -> list[str]:
    """A repeated text field."""
    return [bytes(value).decode() for value in values]


class Node:
    """One operation of an ONNX graph: `op`, `inputs`, `outputs` and the integer and float attributes by name."""

    def __init__(self, data: memoryview):
        found = message(data)
        self.op = text(found[4])[0]
        self.inputs, self.outputs = text(found.get(1, [])), text(found.get(2, []))
        self.attributes: dict[str, list[int] | float] = {}
        for attribute in map(message, found.get(5, [])):
            name = text(attribute[1])[0]
            if 2 in attribute:
                self.attributes[name] = struct.unpack("<f", attribute[2][0])[0]
            else:
                self.attributes[name] = integers(attribute.get(3, attribute.get(8, [])))


def read_onnx(path: str | Path) -> tuple[list[Node], dict[str, np.ndarray]]:
    """The nodes in execution order and the weights by name. Raises ValueError when `path` is no ONNX graph."""
    try:
        graph = message(message(_content(path))[7][0])
        constants = {}
        for tensor in map(message, graph.get(5, [])):
            raw = np.frombuffer(tensor[9][0], _ONNX_TYPES[tensor[2][0]])
            constants[text(tensor[8])[0]] = raw.reshape(integers(tensor.get(1, [])))
        return [Node(node) for node in graph[1]], constants
    except DAMAGE as error:
        raise ValueError(f"{shown(path)} is not a readable ONNX graph ({shown(error)}); {AGAIN}") from None


def read_frozen_graph(path: str | Path) -> dict[str, np.ndarray]:
    """The constants of a frozen TensorFlow graph by node name. Raises ValueError when `path` is none."""
    try:
        constants = {}
        for node in map(message, message(_content(path))[1]):
            if text(node[2]) == ["Const"]:
                attributes = {text(entry[1])[0]: message(entry[2][0]) for entry in map(message, node[5])}
                constants[text(node[1])[0]] = _tensorflow_tensor(message(attributes["value"][8][0]))
        return constants
    except DAMAGE as error:
        raise ValueError(f"{shown(path)} is not a readable frozen graph ({shown(error)}); {AGAIN}") from None


def _content(path: str | Path) -> memoryview:
    """The bytes of a graph's file."""
    return memoryview(regular_file(path, "graph", MOST_BYTES, AGAIN).read_bytes())


def _tensorflow_tensor(tensor: dict[int, list]) -> np.ndarray:
    """A TensorProto: raw bytes (field 4), or one repeated scalar in a typed field (5 float, 7 int)."""
    dtype = _TF_TYPES[tensor[1][0]]
    sizes = message(tensor[2][0]).get(2, []) if 2 in tensor else []
    shape = [integers(message(size).get(1, [0]))[0] for size in sizes]
    if math.prod(shape) > MOST_NUMBERS:
        raise ValueError(f"a constant of {math.prod(shape)} numbers")
    if 4 in tensor:
        return np.frombuffer(tensor[4][0], dtype).reshape(shape)
    if 5 in tensor:
        values = np.concatenate([np.frombuffer(value, np.float32) for value in tensor[5]])
    else:
        values = np.array(integers(tensor.get(7, [])), dtype)
    return np.full(shape, values[0], dtype) if values.size == 1 else values.reshape(shape)
