"""The files that people's tools read (pre-commit, public CI, citation) parse, and name commands and pins that exist."""

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import where2edit

ROOT = Path(__file__).resolve().parents[1]


def read(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def pins(name="requirements-test.txt"):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def hooks():
    return {hook["id"]: hook for repo in read(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]}


def test_hooks_come_from_the_package_registry_with_the_pins_of_the_tests():
    assert {repo["repo"] for repo in read(".pre-commit-config.yaml")["repos"]} == {"local"}
    assert {"ruff-format", "ruff-check", "check-yaml", "check-added-large-files", "types"} <= set(hooks())
    for hook in hooks().values():
        assert {"id", "name", "entry", "language"} <= set(hook)
        for pin in hook.get("additional_dependencies", []):
            name, version = pin.split("==")
            assert name == "pre-commit-hooks" or version == pins()[name], (
                f"{pin} is not what requirements-test.txt pins"
            )


def test_hooks_name_commands_that_exist():
    for name in ("ruff-format", "ruff-check"):
        command = hooks()[name]["entry"].split()
        answer = subprocess.run([sys.executable, "-m", *command, "--help"], capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
        assert all(option in answer.stdout for option in command if option.startswith("--"))
    assert hooks()["types"]["entry"] == ".venv/bin/python -m mypy"


def test_large_files_that_hooks_let_pass_are_the_only_ones():
    hook = hooks()["check-added-large-files"]
    most = int(re.search(r"--maxkb=(\d+)", hook["entry"]).group(1)) * 1024
    answer = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.skip("this is no git checkout")
    large = [
        name for name in answer.stdout.split("\n") if (ROOT / name).is_file() and (ROOT / name).stat().st_size > most
    ]
    assert large and all(re.search(hook["exclude"], name) for name in large), large


def test_the_workflow_calls_the_project_s_own_script():
    workflow = read(".github/workflows/ci.yml")
    steps = workflow["jobs"]["tests"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands == ["bash .ci/run"] and (ROOT / ".ci" / "run").is_file()
    assert "run_tests.sh" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=False).returncode == 0
    assert {"push", "pull_request"} == set(workflow[True])  # YAML 1.1 reads the key `on` as true


def test_the_workflow_tests_the_oldest_python_that_is_supported():
    versions = read(".github/workflows/ci.yml")["jobs"]["tests"]["strategy"]["matrix"]["python"]
    oldest = re.search(r'python_requires=">=(.+?)"', (ROOT / "setup.py").read_text(encoding="utf-8")).group(1)
    assert versions[0] == oldest and len(versions) >= 2
    assert all(isinstance(version, str) for version in versions), "3.10 without quotes is the number 3.1"


def test_the_type_checker_reads_files_that_exist():
    config = configparser.ConfigParser()
    config.read(ROOT / "mypy.ini")
    files = [name.strip() for name in config["mypy"]["files"].split(",")]
    assert all((ROOT / name).exists() for name in files), files
    public = ("core", "files/assets.py", "editor", "methods/base.py")
    public += ("generators/base.py", "training/losses/base.py", "evaluation/metrics/base.py")
    public += ("editing/mappers/base.py", "editing/attention/base.py", "text_image/base.py")
    assert {f"where2edit/{name}" for name in public} <= set(files)
    assert config["mypy"]["python_version"] == "3.10"


def test_the_citation_names_this_version_and_the_paper():
    cited = read("CITATION.cff")
    assert cited["cff-version"] == "1.2.0" and {"message", "title", "authors"} <= set(cited)
    assert cited["version"] == where2edit.__version__ and cited["license"] == "MIT"
    paper = cited["preferred-citation"]
    assert paper["type"] == "article" and paper["doi"] == "10.1016/j.patcog.2023.109458"
    assert [author["family-names"] for author in paper["authors"]] == ["Xiao", "Yang", "Xu", "Zhang", "Zhou", "Zhang"]


def test_the_changelog_speaks_of_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert headings[0] == "Unreleased" and where2edit.__version__ in headings
