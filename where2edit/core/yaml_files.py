"""YAML as configs use it, from files that anyone may have written: read within limits that are checked before parsing.

A few lines of aliases can stand for more than a memory holds, and a list in a list in a list for more than a stack.
Aliases are therefore counted as if what they name were written out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import yaml

from where2edit.core.registry import nearest
from where2edit.core.sentences import one_sentence, quoted

MOST_BYTES = 1 << 18
MOST_NODES = 20_000  # values, keys and lists of one text
MOST_DEPTH = 20  # levels of mappings and lists
MOST_SCALAR = 20_000  # characters of one value


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice in one mapping."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    """One mapping of the file. Raises ValueError with the line for a key that stands twice."""
    seen = set()
    for key in (loader.construct_object(key) for key, _ in node.value):
        if isinstance(key, Hashable):  # others are refused below
            if key in seen:
                line = node.start_mark.line + 1
                raise ValueError(f"key {quoted(key)} stands twice (line {line}); keep one of them")
            seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
# YAML 1.1 reads 1e-3 as a string because it has no dot; everyone who writes it means a number.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text: str) -> Any:
    """The value of a text. Raises ValueError, with the reason alone, for what is not YAML or beyond the limits."""
    try:
        if len(text) > MOST_BYTES:
            raise ValueError(f"it has {len(text):,} characters, at most {MOST_BYTES:,} are read")
        _check_size(yaml.parse(text, _Loader))
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(one_sentence(str(error), most=200)) from None


def _check_size(events: Iterable[yaml.Event]) -> None:
    """Raise ValueError for more nodes, levels or letters than are read, as soon as they have been seen."""
    total = 0
    known: dict[str | None, tuple[int, int]] = {}  # anchor -> nodes and levels of what it names
    opened: list[list] = []  # mappings and lists that are open: anchor, nodes before it, levels in it so far
    for event in events:
        below = 0  # levels that the event adds under the open ones
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in known:
                raise ValueError(f"alias *{event.anchor} names nothing that ends before it")
            nodes, below = known[event.anchor]
            total += nodes
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            known[event.anchor] = (1, 0)
            if len(event.value) > MOST_SCALAR:
                raise ValueError(f"a value has {len(event.value):,} characters, at most {MOST_SCALAR:,} are read")
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append([event.anchor, total, 0])
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before, inside = opened.pop()
            below = inside + 1
            known[anchor] = (total - before, below)
        if opened:
            opened[-1][2] = max(opened[-1][2], below)
        if total > MOST_NODES:
            raise ValueError(f"it holds more than {MOST_NODES:,} values, aliases written out")
        if len(opened) + below > MOST_DEPTH:
            raise ValueError(f"it is nested more than {MOST_DEPTH} levels deep")


def read_yaml(path: str | Path) -> dict:
    """The mapping in a YAML file. Raises ValueError naming the file for anything that is not one."""
    path = Path(path)
    if not os.path.isfile(path):  # a pipe or a device is none either
        known = [p.name for p in path.parent.glob("[!.]*.yaml")] if path.parent.is_dir() else []
        raise ValueError(f"no config file at {path}; {nearest(path.name, known)}")
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ValueError(f"it has {size:,} bytes, at most {MOST_BYTES:,} are read")
        tree = parse_yaml(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:  # also what is not UTF-8
        raise ValueError(f"{path} is not valid YAML: {error}") from None
    except OSError as error:
        raise ValueError(f"the config file {path} cannot be read: {error.strerror}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ValueError(f"{path} holds a {type(tree).__name__}; a config is a mapping of section: values")
    return tree
