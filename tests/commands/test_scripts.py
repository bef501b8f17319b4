"""The scripts are entrances: a heading, two imports and one call; options that several share read alike in all."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
MOST_LINES = 15


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_a_short_entrance_to_the_command_of_its_name(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    doc, *imports, start = ast.parse(text).body
    assert f"python scripts/{path.name}" in doc.value.value
    assert {ast.unparse(node) for node in imports} == {
        "from where2edit.commands.cli import run_command",
        f"from where2edit.commands.{path.stem} import main",
    }
    assert ast.unparse(start) == "if __name__ == '__main__':\n    run_command(main, __doc__)"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_commands_of_the_heading_run_as_printed(path):
    """What follows a command is a comment of the shell."""
    for line in ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines():
        if line.startswith(("python ", "torchrun ", "OMP_NUM_THREADS")):
            command, *comment = line.split("  ", 1)
            assert not comment or comment[0].lstrip().startswith("# "), line


HELP_ALL = """
import contextlib, importlib, io, json, sys
found = {}
for name in sys.argv[1:]:
    text = io.StringIO()
    sys.argv = [name, "--help"]
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        importlib.import_module(f"where2edit.commands.{name}").main("A heading.")
    found[name] = text.getvalue()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def helps():
    command = [sys.executable, "-c", HELP_ALL, *(path.stem for path in SCRIPTS)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def described(text, option):
    """The words of `--help` on one option, without their line breaks; None where the script does not have it."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith(f"  {option} ")), None)
    if start is None:
        return None
    end = next((i for i in range(start + 1, len(lines)) if not lines[i].startswith("      ")), len(lines))
    return " ".join(" ".join(lines[start:end]).split())


@pytest.mark.parametrize("option", ["--device", "overrides"])
def test_a_shared_option_reads_alike_everywhere(option, helps):
    found = {name: described(text, option) for name, text in helps.items()}
    words = {text.split(", for example")[0] for text in found.values() if text}
    assert len(words) == 1 and sum(text is not None for text in found.values()) > 5, found


def test_every_option_is_explained(helps):
    for name, text in helps.items():
        options = [line.split()[0] for line in text.splitlines() if line.startswith("  -")]
        for option in options:
            assert len(described(text, option).split()) > 3, f"{name} {option}"
