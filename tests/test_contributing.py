"""The examples of CONTRIBUTING.md are complete: in a copy of the package they are found and keep their contracts."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What chooses the tests of an example among those that run over everything registered, and how many they are at least.
CONTRACTS = {
    "methods/upper_half.py": ("upper-half", 10),
    "training/losses/mask_limit.py": ("mask_limit", 3),
    "evaluation/metrics/changed_pixels.py": ("changed_pixels", 6),
    "generators/tiny.py": ("tiny", 12),
    "editing/mappers/linear_w.py": ("linear_w", 2),
    "editing/attention/dot_product.py": ("dot_product", 4),
    "text_image/mean_colour.py": ("mean_colour", 10),
}
FILES = (
    "methods/test_contract_methods.py",
    "evaluation/test_metric_contracts.py",
    "generators/test_contract_generators.py",
    "editing/test_mappers.py",
    "editing/test_contract_attentions.py",
    "text_image/test_contract_encoders.py",
)
RULES = ("imports_go_down", "sizes", "import_time")  # tests of the architecture


def examples() -> dict[str, str]:
    """Path below where2edit -> text of each example: a block of Python whose first line is a comment with its path."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n# where2edit/(\S+)\n(.*?)```", text, re.DOTALL)
    return {path: code for path, code in blocks}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package and of the tests with every example in its place; weights and configs are linked."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("where2edit", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("configs", "pretrained_models", "celeba-caption", "pytest.ini", "ruff.toml", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    for path, code in examples().items():
        assert not (folder / "where2edit" / path).exists(), f"{path} is taken"
        (folder / "where2edit" / path).write_text(code, encoding="utf-8")
    return folder


def run(copy, *command):
    """A Python command in the copy, which comes before the installed package."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(copy), str(copy / "tests")])}
    command = [sys.executable, *command]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


def test_every_example_is_put_through_contracts():
    assert set(examples()) == set(CONTRACTS)


@pytest.fixture(scope="module")
def contracts(copy):
    """What pytest prints of the contracts of all examples and of the rules of the architecture, which run together."""
    words = " or ".join([*(word for word, _ in CONTRACTS.values()), *RULES])
    files = [*(f"tests/{name}" for name in FILES), "tests/test_architecture.py"]
    return run(copy, "-m", "pytest", "-v", "-p", "no:cacheprovider", *files, "-k", words).stdout


@pytest.mark.parametrize("path", CONTRACTS)
def test_an_example_keeps_the_contracts_of_its_kind(contracts, path):
    word, least = CONTRACTS[path]
    results = re.findall(rf"^tests/\S+\[\S*{word}\S*\] (\w+)", contracts, re.MULTILINE)
    assert set(results) <= {"PASSED", "SKIPPED"} and results.count("PASSED") >= least, contracts[-3000:]


@pytest.mark.parametrize("rule", RULES)
def test_examples_keep_the_rules_of_the_architecture(contracts, rule):
    results = re.findall(rf"^tests/test_architecture\.py::\S*{rule}\S* (\w+)", contracts, re.MULTILINE)
    assert set(results) == {"PASSED"}, contracts[-3000:]


def test_examples_are_formatted(copy):
    paths = [str(copy / "where2edit" / path) for path in examples()]
    for command in (["format", "--check"], ["check", "--no-cache"]):
        answer = run(copy, "-m", "ruff", *command, "--config", str(ROOT / "ruff.toml"), *paths)
        assert answer.returncode == 0, answer.stdout + answer.stderr
