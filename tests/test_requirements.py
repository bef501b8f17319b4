"""Every third-party import of the package is pinned, and every pin is imported or says what needs it."""

import ast
import re
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MADE = {"things"}  # a package that tests/core writes for itself
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==[^;\s#]+(\s*;\s*python_version [<>=]+ \"[\d.]+\")?\s*(#.*)?$")


def same(name: str) -> str:
    """The registry's one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str) -> dict[str, str]:
    """Distribution -> the comment at the end of its line, "" where there is none."""
    lines = [line for line in (ROOT / file).read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    unpinned = [line for line in lines if not PIN.match(line)]
    assert not unpinned, f"{file} pins these lines not exactly: {unpinned}"
    return {same(found[1]): (found[3] or "") for found in map(PIN.match, lines)}


@cache
def imported(folder: str) -> set[str]:
    """Third-party modules that the Python files of a folder import, anywhere in them."""
    names = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module)
    roots = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"where2edit"}
    own = {path.stem for path in (ROOT / folder).rglob("*.py")}
    own |= {path.parent.name for path in (ROOT / folder).rglob("__init__.py")}
    return roots - own - MADE


def distributions(modules: set[str]) -> set[str]:
    """The distributions that bring these modules."""
    known = packages_distributions()
    assert modules <= known.keys(), f"imported but not installed: {sorted(modules - known.keys())}"
    return {same(known[module][0]) for module in modules}


@pytest.mark.parametrize(
    ("folders", "files"),
    [
        (("where2edit", "scripts"), ("requirements.txt",)),
        (("tests",), ("requirements.txt", "requirements-test.txt")),
    ],
)
def test_every_import_is_pinned(folders, files):
    needed = set().union(*(distributions(imported(folder)) for folder in folders))
    pinned = set().union(*(pins(file) for file in files))
    assert needed <= pinned, f"pin in {files[-1]}: {sorted(needed - pinned)}"


def test_every_pin_of_the_package_is_imported_or_says_what_needs_it():
    used = distributions(imported("where2edit"))
    for name, comment in pins("requirements.txt").items():
        if name not in used:
            assert comment.startswith("# for "), f"{name} is imported by no module; say at its end what needs it"
        else:
            assert not comment, f"{name} is imported by the package itself; its comment is wrong"
