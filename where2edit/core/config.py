"""Configs: YAML files that hold only what differs from the defaults -> checked frozen dataclasses.

A file may name another with `base: other.yaml` (relative to itself); its own values replace those of the base.
Overrides of a command line are `section.key=value`, where the value is YAML. A dataclass stands above the code that
reads it; its field names are the keys, its annotations say what is allowed. Options of a registered thing are checked
against its own dataclass.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from where2edit.core.registry import Registry, nearest

T = TypeVar("T")
Convert = Callable[[dict, dict], dict]


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice in one mapping."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    """One mapping of the file. Raises ValueError with the line for a key that stands twice."""
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"key {key!r} stands twice (line {node.start_mark.line + 1}); keep one of them")
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
# YAML 1.1 reads 1e-3 as a string because it has no dot; everyone who writes it means a number.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_yaml(path: str | Path) -> dict:
    """The mapping in a YAML file. Raises ValueError naming the file for anything that is not one."""
    path = Path(path)
    if not path.is_file():
        known = [p.name for p in path.parent.glob("[!.]*.yaml")] if path.parent.is_dir() else []
        raise ValueError(f"no config file at {path}; {nearest(path.name, known)}")
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid YAML: {str(error).replace(chr(10), ' ')}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ValueError(f"{path} holds a {type(tree).__name__}; a config is a mapping of section: values")
    return tree


def merge(base: dict, changes: dict) -> dict:
    """`base` with `changes` laid over it, mapping by mapping; lists and scalars are replaced whole.

    Where `changes` gives a section another `name`, the options of the old choice are left out: they are not its own.
    """
    merged = dict(base)
    if "name" in changes and changes["name"] != base.get("name"):
        merged.pop("options", None)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def read_tree(path: str | Path, convert: Convert | None = None, _seen: tuple[Path, ...] = ()) -> dict:
    """A YAML file laid over its `base`, recursively. Raises ValueError on a cycle.

    `convert(tree, base)` returns the tree of one file with today's keys; `base` is what it is laid over.
    """
    path = Path(path).resolve()
    if path in _seen:
        raise ValueError(f"{path} names itself as its base through {' -> '.join(p.name for p in _seen)}")
    tree = read_yaml(path)
    name = tree.pop("base", None)
    base = read_tree(path.parent / str(name), convert, (*_seen, path)) if name else {}
    return merge(base, convert(tree, base) if convert else tree)


def override(tree: dict, assignments: list[str] | tuple[str, ...]) -> dict:
    """A tree with `a.b=value` assignments laid over it, in order; the value is parsed as YAML.

    Raises ValueError for an assignment without a key or "=", and for a value that is not YAML.
    """
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        if not sign or not key.strip():
            raise ValueError(f"override {assignment!r} is not key=value; write for example training.steps=200")
        try:
            leaf: Any = yaml.load(value, _Loader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = str(error).replace("\n", " ")
            raise ValueError(f"override {assignment!r}: {value!r} is not a YAML value ({reason})") from None
        for part in reversed(key.strip().split(".")):
            leaf = {part: leaf}
        tree = merge(tree, leaf)
    return tree


def build(kind: type[T], tree: Any, where: str = "") -> T:
    """Check `tree` against the annotations of the frozen dataclass `kind` and build it.

    `where` is the key of the tree, for errors. Raises ValueError for an unknown key (naming the nearest known one), a
    missing key and a value of the wrong type.
    """
    if not isinstance(tree, dict):
        raise ValueError(f"{where or 'config'} must be a mapping, got {tree!r}")
    hints = {n: h for n, h in typing.get_type_hints(kind).items() if typing.get_origin(h) is not typing.ClassVar}
    for key in tree:
        if key not in hints:
            name = f"{where}.{key}" if where else str(key)
            raise ValueError(f"unknown key {name!r}; {nearest(str(key), hints)}")
    values = {key: _convert(hints[key], value, f"{where}.{key}".strip(".")) for key, value in tree.items()}
    missing = [
        f.name
        for f in dataclasses.fields(typing.cast(Any, kind))
        if f.name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"{where or 'config'} lacks {', '.join(missing)}")
    return kind(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the annotated type: dataclass, X | Y | None, tuple[X, ...], dict[str, X], Literal, Any or a scalar."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _convert_union([a for a in args if a is not type(None)], value, where)
    if origin is typing.Literal:
        if value not in args:
            raise ValueError(f"{where} is {value!r}; {nearest(str(value), map(str, args))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where} must be a list, got {value!r}")
        if args[-1] is not Ellipsis and len(value) != len(args):
            raise ValueError(f"{where} must have {len(args)} values, got {len(value)}: {value!r}")
        return tuple(_convert(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be a mapping, got {value!r}")
        return {str(key): _convert(args[1], item, f"{where}.{key}") for key, item in value.items()}
    return _scalar(hint, value, where)


def _convert_union(hints: list[Any], value: Any, where: str) -> Any:
    """`value` as the first of several annotated types that it fits; the error names what each of them says."""
    reasons = []
    for hint in hints:
        try:
            return _convert(hint, value, where)
        except ValueError as error:
            reasons.append(str(error))
    raise ValueError(", or ".join(reasons))


def _scalar(hint: Any, value: Any, where: str) -> Any:
    """`value` as str, int, float or bool; an int is taken for a float, a bool never for a number."""
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not -sys.float_info.max <= value <= sys.float_info.max:
            raise ValueError(f"{where} is {value}; give a finite number")
        return float(value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ValueError(f"{where} must be {hint.__name__}, got {type(value).__name__} {value!r}")


def load(
    kind: type[T],
    path: str | Path,
    overrides: list[str] | tuple[str, ...] = (),
    convert: Convert | None = None,
) -> T:
    """The config `kind` from a YAML file and `key=value` overrides. Raises ValueError for whatever does not fit.

    `convert` gives the file and its bases today's keys, as in `read_tree`; overrides are written with today's.
    """
    return build(kind, override(read_tree(path, convert), overrides))


def build_options(registry: Registry, name: str, values: dict[str, Any], where: str) -> Any:
    """The options of a registered thing from a mapping of a config; `where` is the mapping's own key, for errors.

    Raises ValueError for an unknown name, an unknown option and a value of the wrong type.
    """
    return build(registry.options_of(name), values, where)


@dataclasses.dataclass(frozen=True)
class Choice:
    """A section that names a registered thing and gives its options where they differ from the defaults.

    A subclass says of which registry, and which section it is (`where`, for errors). Raises ValueError for an unknown
    name, an unknown option and a value that is not allowed.
    """

    registry: typing.ClassVar[Registry]
    where: typing.ClassVar[str]

    name: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.resolved()

    def resolved(self) -> Any:
        """All options of the chosen thing, as its own Options class."""
        return build_options(self.registry, self.name, self.options, f"{self.where}.options")


def build_section(registry: Registry, section: Any, where: str) -> Any:
    """The registered thing that a section of a config describes: its factory, called with the section and the options.

    `section` has `name` and `options`; `where` is its own key, for errors. Raises ValueError as `build_options` does.
    """
    options = build_options(registry, section.name, section.options, f"{where}.options")
    return registry.get(section.name)(section, options)


def as_dict(config: Any) -> dict:
    """Every resolved value of a config, ready for YAML or JSON."""
    return json.loads(json.dumps(dataclasses.asdict(config)))
