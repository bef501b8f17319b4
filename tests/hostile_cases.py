"""What the hostile tests share: a command that must refuse, and numbers that no config may take."""

import importlib
import math
import sys
import typing
from dataclasses import fields, is_dataclass

import pytest

from where2edit.commands import cli
from where2edit.core.bounds import Bounds
from where2edit.core.sentences import MOST

NOT_NUMBERS = ("many", True, [1], {"a": 1}, 10**400, -(10**400), math.nan, math.inf, -math.inf)


def command(name):
    """The module of a command."""
    return importlib.import_module(f"where2edit.commands.{name}")


def call(monkeypatch, capsys, name, *arguments):
    """Run a command in this process: (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.run_command(command(name).main, "A heading.")
    said = capsys.readouterr()
    return end.value.code, said.out, said.err


def refused(monkeypatch, capsys, name, *arguments):
    """The one sentence with which a command refuses; its exit code is 2 and it has printed nothing else."""
    code, out, error = call(monkeypatch, capsys, name, *arguments)
    assert (code, out) == (2, ""), (code, out, error)
    one_sentence(error.removeprefix("error: ").removesuffix("\n"))
    return error


def one_sentence(text):
    """Assert that a text is a sentence for people: one line, not too long, no traceback."""
    assert text and len(text.splitlines()) == 1 and len(text) <= MOST and "Traceback" not in text, text
    return text


def annotated(kind):
    """(field, annotation) of a dataclass, with the bounds of its numbers."""
    return list(typing.get_type_hints(kind, include_extras=True).items())


def numbers(hint):
    """Every number type inside an annotation, with its bounds or None: int | None -> [(int, None)]."""
    if typing.get_origin(hint) is typing.Annotated:
        kind, *rest = typing.get_args(hint)
        return [(kind, next((each for each in rest if isinstance(each, Bounds)), None))]
    if hint in (int, float):
        return [(hint, None)]
    if typing.get_origin(hint) is typing.Literal or is_dataclass(hint):
        return []
    return [found for inner in typing.get_args(hint) for found in numbers(inner)]


def sections(kind, where=""):
    """(key, dataclass) of a config and of every dataclass inside it."""
    found = [(where, kind)]
    names = {field.name for field in fields(kind)}
    for name, hint in annotated(kind):
        inner = next(
            (each for each in (hint, *typing.get_args(hint)) if isinstance(each, type) and is_dataclass(each)), None
        )
        if name in names and inner is not None:
            found += sections(inner, f"{where}.{name}".strip("."))
    return found


def outside(kind, bounds):
    """Values that a field of these bounds must refuse."""
    step = 1 if kind is int else max(abs(bounds.least), abs(bounds.most), 1) / 2
    ends = [bounds.least - step, bounds.most + step]
    ends += [bounds.least] * bounds.above + [bounds.most] * bounds.below
    return [*ends, *NOT_NUMBERS]
