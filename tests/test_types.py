"""The public API is typed: mypy finds nothing in the files that mypy.ini names."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def mypy(*arguments):
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "mypy.ini"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", autouse=True)
def needs_mypy():
    pytest.importorskip("mypy", reason="mypy is a test-only dependency")


def test_the_public_api_has_no_type_errors():
    answer = mypy()
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_wrong_type_would_be_seen(tmp_path):
    wrong = "from where2edit.core.registry import nearest\nspoken: int = nearest('toy', ['toy'])\n"
    (tmp_path / "wrong.py").write_text(wrong, encoding="utf-8")
    answer = mypy(str(tmp_path / "wrong.py"))
    assert answer.returncode == 1 and "Incompatible types in assignment" in answer.stdout
