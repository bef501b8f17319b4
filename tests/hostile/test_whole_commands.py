"""Whole commands, as a shell starts them, with hostile options and files: one sentence, soon, and in little memory.

The cases are drawn from the tables of the other tests, which try them in-process.
"""

import io
import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import cache

import picture_files
import pytest
import toy_cases as toy
from hostile_cases import one_sentence
from PIL import Image
from special_files import SPECIAL

from hostile import (
    test_configs,
    test_masks,
    test_options,
    test_pickles,
    test_recipes,
    test_tensor_files,
    test_text_files,
)

SECONDS, MEMORY = 60, 2.5 * 2**30  # that a command may take
FEWEST = 100  # cases
LONGEST = 100_000  # characters of an option that every system hands over
ATTRIBUTES = ("--data", ".", "--attributes", "FILE")


@dataclass(frozen=True)
class Case:
    """A command line, in which FILE is what `make` puts at a path; `said`: a pattern of the sentence."""

    command: str
    options: tuple[str, ...]
    make: object = None
    said: str = ""
    file: str = "file"


def some(table, step, start=0):
    """Every `step`-th entry of a table."""
    return list(table.items())[start::step]


def writes(data):
    """What writes bytes, text or a tree at a path."""
    if isinstance(data, str):
        data = data.encode()
    return lambda path: path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())


def saves(picture):
    return lambda path: picture.save(path, "TIFF" if picture.mode in "IF" else "PNG")


def captions(data):
    def make(path):
        path.mkdir()
        (path / "0.txt").write_bytes(data)

    return make


def archive(change):
    def make(path):
        path.write_bytes(checkpoint())
        change(path)

    return make


@cache
def checkpoint():
    import torch

    file = io.BytesIO()
    torch.save({"a": torch.arange(400.0).reshape(20, 20), "b": torch.ones(3)}, file)
    return file.getvalue()


@cache
def editor():
    """The bytes of an editor for the toy profile."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        return toy.lively_editor(Path(folder) / "editor.safetensors").read_bytes()


def damaged_editor(change):
    def make(path):
        path.write_bytes(editor())
        change(path)

    return make


EDIT = ("--prompt", "a beard", "--config", test_options.TOY, "--device", "cpu", "--weights", "editor.safetensors")
TRAIN = ("--config", test_options.TOY, "--device", "cpu", "--out", "out")
PATHS = (  # options that take the path of a file
    ("invert", ("--photo", "FILE"), "x.png"),
    ("edit", (*EDIT, "--mask", "FILE"), "x.png"),
    ("edit", (*EDIT, "--reference", "FILE"), "x.png"),
    ("edit", (*EDIT, "--latent", "FILE"), "x.pt"),
    ("edit", ("--replay", "FILE"), "x.json"),
    ("sample", ("--config", "FILE"), "x.yaml"),
    ("edit", (*EDIT[:-1], "FILE"), "x.safetensors"),
    ("train_facetext", ATTRIBUTES, "x.csv"),
    ("convert", ("e4e", "FILE", "out.safetensors"), "x.pt"),
    ("evaluate", ("--table", "FILE", "--config", test_options.TOY), "x.yaml"),
)


def cases():
    """Name -> case."""
    found = {}

    def add(kind, name, *case, **more):
        found[f"{kind}: {name}"[:70]] = Case(*case, **more)

    for (name, *options), said in [*some(test_options.NUMBERS, 4), *some(test_options.PLACES, 4)]:
        line = " ".join((name, *options))
        needs = ["--data", "photos", "--attributes", "table.csv"] if name.startswith("report") else []
        add("option", line, name, (*needs, *test_options.arguments(name, *options)), said=re.escape(said))
    for name, device in zip(test_options.NEEDS, test_options.NO_DEVICES[1::2], strict=False):
        options = tuple(test_options.arguments(name, "--device", device))
        add("device", f"{name} {device}", name, options, said="device|GPU")
    for override, said in some({o: s for o, s in test_configs.OVERRIDES.items() if len(o) < LONGEST}, 6):
        add("override", override, "train", (*TRAIN, override), said=re.escape(said))
    for name, (text, said) in some(test_configs.TEXTS, 4):
        add("config", name, "sample", ("--config", "FILE"), writes(text), said, file="x.yaml")
    for (name, (make, _)), (command, options, file) in zip(SPECIAL.items(), PATHS, strict=True):
        add("path", f"{command} {name}", command, options, make, "x[.]", file=file)
    for name, data in [*some(picture_files.OTHERS, 5, 2), *some(picture_files.HUGE, 4)]:
        add("picture", name, "invert", ("--photo", "FILE"), writes(data), "x.png", file="x.png")
    for name, (picture, said) in some(test_masks.REFUSED, 6, 4):
        said = re.escape(said.split(";")[0]) if "px" not in said else "px"
        add("mask", name, "edit", (*EDIT, "--mask", "FILE"), saves(picture), said)
    for name, (tree, said) in some(test_recipes.TREES, 6):
        add("recipe", name, "edit", ("--replay", "FILE"), writes(tree), said, file="r.json")
    for name, data in some(test_recipes.BYTES, 3, 1):
        add("recipe", name, "edit", ("--replay", "FILE"), writes(data), "is not a", file="r.json")
    for name, make in some(test_tensor_files.WRONG_LATENTS, 6):
        add("latent", name, "edit", (*EDIT, "--latent", "FILE"), make, "file.pt", file="file.pt")
    for name, change in some(test_tensor_files.BYTES, 5):
        options = (*EDIT[:-1], "FILE")
        add("editor", name, "edit", options, damaged_editor(change), "file.safe", file="file.safetensors")
    for name, data in some(test_text_files.NO_TEXT, 3):
        options = (*TRAIN[:4], "data.captions=FILE", *TRAIN[4:])
        add("captions", name, "train", options, captions(data), "is not UTF-8 text")
    for name, (text, *said) in some(test_text_files.WRONG, 5):
        add("table", name, "train_facetext", ATTRIBUTES, writes(text), re.escape(said[-1]), file="a.csv")
    for name, change in some(test_pickles.ARCHIVES, 4):
        add("archive", name, "convert", ("e4e", "FILE", "out.safetensors"), archive(change), "x.pt", file="x.pt")
    return found


CASES = cases()


def test_there_are_enough_cases():
    assert len(CASES) >= FEWEST


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_a_whole_command_refuses_in_one_sentence(name, tmp_path):
    case = CASES[name]
    files = test_options.taken(tmp_path)
    (tmp_path / "editor.safetensors").write_bytes(editor())
    Image.new("L", (32, 32), 255).save(tmp_path / "photo.png")
    if case.make:
        case.make(tmp_path / case.file)
    arguments = [option.replace("FILE", case.file) for option in case.options]
    code, out, error, memory = run(case.command, arguments, tmp_path)
    assert (code, out) == (2, "") and "Traceback" not in error, (code, out, error)
    (line,) = [line for line in error.splitlines() if not line.startswith("warning: ")]
    assert line.startswith("error: ") and re.search(case.said, line), (case.said, line)
    one_sentence(line.removeprefix("error: "))
    assert memory < MEMORY, f"{memory / 2**30:.1f} GiB"
    assert all(file.read_text() == "precious" for file in files)


def run(command, arguments, folder):
    """Exit code, stdout, stderr and the memory of a script in `folder`; it is killed where it takes too long."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "WHERE2EDIT_CACHE": str(folder / "cache")}
    environment |= {"WHERE2EDIT_OFFLINE": "1", "PYTHONPATH": os.pathsep.join([str(toy.ROOT), *sys.path])}
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as error:
        line = [sys.executable, toy.ROOT / f"scripts/{command}.py", *arguments]
        streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": error}
        process = subprocess.Popen(line, cwd=folder, env=environment, **streams)
        late = threading.Timer(SECONDS, process.kill)
        late.start()
        _, status, usage = os.wait4(process.pid, 0)
        late.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    said = [(folder / name).read_text(errors="replace") for name in ("stdout", "stderr")]
    return process.returncode, *said, usage.ru_maxrss * 1024
