"""The wheel: built from a copy of the checkout, installed elsewhere, it is complete and edits from any folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = (".git", ".venv", "out", "results", "build", "*.egg-info", "__pycache__", ".*_cache", "tests", "docs")

CHECK = """
import importlib, json, pkgutil
import where2edit
from where2edit.files.manifest import manifest_path

names = [found.name for found in pkgutil.walk_packages(where2edit.__path__, "where2edit.")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"package": where2edit.__file__, "modules": names, "manifest": str(manifest_path())}))
"""

EDIT = """
import sys
from where2edit.commands.cli import run_command
from where2edit.commands.edit import main
from where2edit.files import assets

config = str(assets.shipped("configs/toy.yaml"))
sys.argv = ["edit", "--config", config, "--prompt", "blond hair", "--seed", "3", "--out", "out"]
sys.argv += ["--assert-local", "--allow-full"]
run_command(main, "An edit of the toy profile.")
"""


def files_below(folder: Path, *patterns: str) -> set[str]:
    return {str(path.relative_to(folder)) for pattern in patterns for path in folder.rglob(pattern)}


def call(*command: object, **options) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of a fresh environment that holds the wheel and sees the tests' own third-party packages."""
    folder = tmp_path_factory.mktemp("wheel")
    # A copy, because setuptools writes into the folder that it builds.
    shutil.copytree(ROOT, folder / "checkout", ignore=shutil.ignore_patterns(*LEFT_OUT))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    call(*pip, "wheel", "--no-deps", "--use-pep517", "-w", folder / "dist", folder / "checkout")
    call(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    made = next((folder / "venv").glob("lib*/python*/site-packages"))
    call(*pip, "install", "--no-deps", "--no-index", "--target", made, next((folder / "dist").glob("*.whl")))
    # A plain path: .pth files in there, such as that of an editable where2edit, are not read again.
    (made / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    shutil.rmtree(folder / "checkout")
    return folder / "venv" / "bin" / "python"


@pytest.fixture
def run(python, tmp_path):
    """Runs code in that environment, in a folder of its own and with a cache of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "WHERE2EDIT"))}
    environment = kept | {
        "OMP_NUM_THREADS": "1",
        "WHERE2EDIT_CACHE": str(tmp_path / "cache"),
        "WHERE2EDIT_OFFLINE": "1",
    }
    (tmp_path / "here").mkdir()
    return lambda code: call(python, "-c", code, cwd=tmp_path / "here", env=environment)


def test_the_wheel_is_complete(run, python):
    found = json.loads(run(CHECK))
    package = Path(found["package"]).parent
    assert package.is_relative_to(python.parents[1]), "another where2edit than that of the wheel was imported"
    assert Path(found["manifest"]) == package / "pretrained_models" / "manifest.yaml"
    ours = files_below(ROOT / "where2edit", "*.py")
    assert files_below(package, "*.py") == ours
    names = {"where2edit." + name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in ours}
    assert names - {"where2edit.__init__"} <= set(found["modules"])
    assert files_below(package, "*.cu", "*.cpp", "*.h") == files_below(ROOT / "where2edit", "*.cu", "*.cpp", "*.h")
    for folder, patterns in (("configs", ["*.yaml"]), ("pretrained_models", ["*.yaml", "*.md", "*.safetensors"])):
        assert files_below(package / folder, *patterns) == files_below(ROOT / folder, *patterns)


def test_it_edits_from_a_folder_of_its_own(run, tmp_path):
    said = run(EDIT)
    assert "blond hair" in said
    written = {path.suffix for path in (tmp_path / "here" / "out").iterdir()}
    assert {".png", ".json", ".safetensors"} <= written
