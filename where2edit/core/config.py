"""Configs: YAML files that hold only what differs from the defaults -> checked frozen dataclasses.

A file may name another with `base: other.yaml` (relative to itself); its own values replace those of the base.
Overrides of a command line are `section.key=value`, where the value is YAML. A dataclass stands above the code that
reads it; its field names are the keys, its annotations say what is allowed. Options of a registered thing are checked
against its own dataclass.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
import types
import typing
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from where2edit.core.bounds import Bounds
from where2edit.core.registry import Registry, nearest
from where2edit.core.sentences import quoted
from where2edit.core.yaml_files import MOST_DEPTH, parse_yaml, read_yaml

T = TypeVar("T")
Convert = Callable[[dict, dict], dict]
# Metadata of a field that is younger than the first trained editors: `as_dict` leaves it out where it has its default,
# so that files and digests of configs that do without it stay as they were.
YOUNGER = {"younger": True}


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
    path = Path(os.path.realpath(path))
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
        parts = key.strip().split(".")
        if not sign or not key.strip() or len(parts) > MOST_DEPTH:
            raise ValueError(f"override {quoted(assignment)} is not key=value; write for example training.steps=200")
        try:
            leaf: Any = parse_yaml(value)
        except ValueError as error:
            raise ValueError(f"override {quoted(assignment)}: what it gives is not a YAML value ({error})") from None
        for part in reversed(parts):
            leaf = {part: leaf}
        tree = merge(tree, leaf)
    return tree


def build(kind: type[T], tree: Any, where: str = "") -> T:
    """Check `tree` against the annotations of the frozen dataclass `kind` and build it.

    `where` is the key of the tree, for errors. Raises ValueError for an unknown key (naming the nearest known one), a
    missing key and a value of the wrong type.
    """
    if not isinstance(tree, dict):
        raise ValueError(f"{where or 'config'} must be a mapping, got {quoted(tree)}")
    hints = _hints(typing.cast(Any, kind))
    for key in tree:
        if key not in hints:
            name = f"{where}.{key}" if where else str(key)
            raise ValueError(f"unknown key {quoted(name)}; {nearest(str(key), hints)}")
    values = {key: _convert(hints[key], value, f"{where}.{key}".strip(".")) for key, value in tree.items()}
    missing = [
        f.name
        for f in dataclasses.fields(typing.cast(Any, kind))
        if f.name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"{where or 'config'} lacks {', '.join(missing)}")
    return kind(**values)


@cache
def _hints(kind: type) -> dict[str, Any]:
    """The annotations of a dataclass, with bounds, by field."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {name: hint for name, hint in hints.items() if typing.get_origin(hint) is not typing.ClassVar}


def check_values(config: Any, where: str) -> None:
    """Raise ValueError for a value of a config that its annotation does not allow; `where` is the key of its section.

    `build` sees to it by itself: this is for dataclasses that are made in another way too, in their `__post_init__`.
    """
    for name, hint in _hints(typing.cast(Any, type(config))).items():
        _convert(hint, getattr(config, name), f"{where}.{name}".strip("."))


def check_name(name: str, where: str) -> None:
    """Raise ValueError for a name that could not be part of a file's name: it must not lead to another folder."""
    if not re.fullmatch(r"[\w+-][\w.+-]{0,63}", name):
        raise ValueError(f"{where} is {quoted(name)}; give a name of letters, digits, '_', '-' and '.', not a path")


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the annotated type: dataclass, X | Y | None, tuple[X, ...], dict[str, X], Literal, Any or a scalar."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, typing.cast(type, hint)) else build(typing.cast(type, hint), value, where)
    if origin is typing.Annotated:
        bounds = args[1]
        assert isinstance(bounds, Bounds), f"{where}: numbers are annotated by their bounds and nothing else"
        if isinstance(value, int | float) and not isinstance(value, bool) and not bounds.holds(value):
            raise ValueError(f"{where} {bounds.says(value)}")
        return _convert(args[0], value, where)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _convert_union([a for a in args if a is not type(None)], value, where)
    if origin is typing.Literal:
        if not isinstance(args[0], str) and type(value) is not type(args[0]):
            return _scalar(type(args[0]), value, where)
        if value not in args:
            got = value if isinstance(value, str) else quoted(value)
            raise ValueError(f"{where} is {quoted(value)}; {nearest(got, map(str, args))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where} must be a list, got {quoted(value)}")
        if args[-1] is not Ellipsis and len(value) != len(args):
            raise ValueError(f"{where} must have {len(args)} values, got {len(value)}: {quoted(value)}")
        return tuple(_convert(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be a mapping, got {quoted(value)}")
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
            raise ValueError(f"{where} is {quoted(value)}; give a finite number")
        return float(value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ValueError(f"{where} must be {hint.__name__}, got {type(value).__name__} {quoted(value)}")


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
    """Every resolved value of a config, ready for YAML or JSON, but for YOUNGER fields that have their default."""
    return json.loads(json.dumps(_tree(config)))


def _tree(value: Any) -> Any:
    """The same with dictionaries in place of dataclasses."""
    if isinstance(value, dict):
        return {key: _tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    return {f.name: _tree(getattr(value, f.name)) for f in dataclasses.fields(value) if not _left_out(f, value)}


def _left_out(each: dataclasses.Field, config: Any) -> bool:
    """Whether a field is younger and has its default in `config`."""
    if not each.metadata.get("younger"):
        return False
    made = each.default_factory
    return getattr(config, each.name) == (each.default if made is dataclasses.MISSING else made())
