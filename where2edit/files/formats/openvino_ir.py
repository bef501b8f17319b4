"""Read the constants of an OpenVINO IR (XML graph + BIN blob) by name and by neighbourhood; OpenVINO is not needed."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np

from where2edit.files.regular import regular_file, shown

AGAIN = "delete it and download it again"
MOST_BYTES = 1 << 30  # of a file
_DTYPES = {"f32": np.float32, "f16": np.float16, "i64": np.int64, "i32": np.int32}


class Graph:
    """The graph of one IR. Raises ValueError for files that are none.

    Nodes are known by their id: `kinds` {id: type of operation}, `ids` {name: id}, `constants` {id: array in the blob},
    `inputs` and `consumers` {id: neighbours before and after}.
    """

    def __init__(self, xml: str | Path, blob: str | Path):
        xml, blob = (regular_file(path, "OpenVINO IR", MOST_BYTES, AGAIN) for path in (xml, blob))
        try:
            self._read(ElementTree.parse(xml).getroot(), blob.read_bytes())
        except (ElementTree.ParseError, LookupError, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"{shown(xml)} is not an OpenVINO IR ({shown(error)}); {AGAIN}") from None

    def _read(self, root: ElementTree.Element, data: bytes) -> None:
        """Take layers and edges out of the graph, and the constants out of the blob."""
        self.kinds: dict[str, str] = {}
        self.ids: dict[str, str] = {}
        self.constants: dict[str, np.ndarray] = {}
        for layer in root.find("layers"):
            node = layer.get("id")
            self.kinds[node] = layer.get("type")
            self.ids[layer.get("name")] = node
            if layer.get("type") == "Const":
                self.constants[node] = _constant(layer.find("data").attrib, data, layer.get("name"))
        self.inputs: dict[str, list[str]] = {node: [] for node in self.kinds}
        self.consumers: dict[str, list[str]] = {node: [] for node in self.kinds}
        for edge in root.find("edges"):
            self.inputs[edge.get("to-layer")].append(edge.get("from-layer"))
            self.consumers[edge.get("from-layer")].append(edge.get("to-layer"))

    def named(self, name: str) -> np.ndarray:
        """The constant called `name`. Raises ValueError when the graph has none."""
        if name not in self.ids or self.ids[name] not in self.constants:
            raise ValueError(f"the OpenVINO graph has no constant '{name}'; it is not the expected network")
        return self.constants[self.ids[name]]

    def next(self, node: str, kind: str) -> str:
        """The first node of type `kind` downstream of `node`, following the first path that leads there."""
        queue, seen = list(self.consumers[node]), set()
        while queue:
            node = queue.pop(0)
            if self.kinds[node] == kind:
                return node
            queue.extend(self.consumers[node] if node not in seen else ())
            seen.add(node)
        raise ValueError(f"the OpenVINO graph has no '{kind}' after node {node}; it is not the expected network")

    def operand(self, node: str) -> np.ndarray:
        """The constant input of a node that has exactly one."""
        found = [self.constants[i] for i in self.inputs[node] if i in self.constants]
        if len(found) != 1:
            raise ValueError(f"node {node} of the OpenVINO graph has {len(found)} constant inputs, expected 1")
        return found[0]


def _constant(attributes: dict, data: bytes, name: str) -> np.ndarray:
    shape = [int(n) for n in attributes["shape"].split(",") if n.strip()]
    begin, size = int(attributes["offset"]), int(attributes["size"])
    if begin < 0 or size < 0 or begin + size > len(data):
        raise ValueError(f"the blob ends at byte {len(data)}, but '{name}' needs {begin + size}: it is truncated")
    return np.frombuffer(data[begin : begin + size], _DTYPES[attributes["element_type"]]).reshape(shape).copy()
