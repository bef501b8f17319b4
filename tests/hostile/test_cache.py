"""A cache that cannot be written, or is damaged: commands go on without it, make it again, or say what to do."""

import shutil
from dataclasses import replace

import pytest
import torch
from hostile_cases import one_sentence
from survival_cases import CASES, Running, bytes_of, half_written
from survival_cases import words as features

from where2edit.editor.understanding import Vocabulary

# Where no folder can be made: root may write where the rights forbid it, and not here.
PLACES = {"below a file": "taken/cache", "below a device": "/dev/null/cache", "in a system's folder": "/proc/1/cache"}
KEPT = ("download", "converted", "evaluate")  # commands whose weights or faces are kept there and nowhere else
QUICK = ("write_captions", "sample", "converted", "download")


def without_a_cache(name, place, whole, folder):
    """A command whose cache folder cannot be made gives the same results, or says which folder it needs."""
    inputs, expected, _ = whole(name)
    folder.mkdir(exist_ok=True)
    (folder / "taken").write_text("precious")
    end = Running(CASES[name], folder, inputs, WHERE2EDIT_CACHE=PLACES[place]).end()
    assert (folder / "taken").read_text() == "precious" and "Traceback" not in end.error, end
    if name in KEPT:
        assert end.code == 2, end
        said = one_sentence(end.sentence.removeprefix("error: "))
        assert "cannot be written" in said and "set WHERE2EDIT_CACHE to another folder" in said, said
    else:
        assert end.code == 0, end
        assert bytes_of(folder / "out") == {
            key.removeprefix("out/"): found for key, found in expected.items() if key.startswith("out/")
        }


@pytest.mark.parametrize("name", QUICK)
def test_a_cache_that_cannot_be_written_does_not_stop_a_command(name, whole, tmp_path):
    without_a_cache(name, "below a file", whole, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", CASES)
def test_a_cache_that_cannot_be_written_does_not_stop_any_command(name, place, whole, tmp_path):
    without_a_cache(name, place, whole, tmp_path)


class Words(torch.nn.Module):
    """In place of MiniLM."""

    def __init__(self):
        super().__init__()
        self.words = torch.nn.Embedding(1, 1)

    def forward(self, prompts):
        return features(prompts)


@pytest.mark.parametrize("place", PLACES)
def test_prompts_are_understood_without_a_cache(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "taken", b"precious")
    asked = ["a beard on a mountain"]
    known = Vocabulary(Words())
    known.phrases, known.known_words = ["a beard"], ["beard"]
    readings = []
    for folder in (str(tmp_path / "cache"), PLACES[place]):
        known.__dict__.pop("_embedded", None)
        monkeypatch.setenv("WHERE2EDIT_CACHE", folder)
        readings.append(known.read(*asked))
    assert readings[0] == readings[1] and list((tmp_path / "cache/phrases").iterdir())


def flip(path):
    data = bytearray(path.read_bytes())
    data[-100] ^= 4
    path.write_bytes(data)


def folder_instead(path):
    path.unlink()
    path.mkdir()


def link_to_nothing(path):
    path.unlink()
    path.symlink_to("nowhere")


DAMAGES = {
    "a flipped bit": flip,
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not what it was"),
    "gone": lambda path: path.unlink(),
    "a link to nothing": link_to_nothing,
    "a folder": folder_instead,
}
MADE_AGAIN = {  # case -> a file of the cache or of the run's folder that is made where it is missing
    "converted": "cache/converted/*.safetensors",
    "evaluate": "cache/natural-faces/*/500000.safetensors",
    "facetext": "out/captions.safetensors",
}
QUICK_DAMAGES = ("a flipped bit", "a folder")


def made_again(name, damage, inputs, folder):
    """A damaged file is made again, byte for byte; a folder in its place is named."""
    case = replace(CASES[name], arguments=CASES[name].arguments)
    assert Running(case, folder, inputs(name)).end().code == 0
    before = bytes_of(folder)
    (victim,) = folder.glob(MADE_AGAIN[name])
    DAMAGES[damage](victim)
    for path in (folder / "out").iterdir():
        if path != victim:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    end = Running(case, folder, inputs(name)).end()
    assert "Traceback" not in end.error and not half_written(folder), end
    if damage == "a folder":
        assert end.code == 2 and "cannot be written" in one_sentence(end.sentence.removeprefix("error: ")), end
    else:
        assert end.code == 0, end
        assert bytes_of(folder) == before


@pytest.mark.parametrize("damage", QUICK_DAMAGES)
def test_a_damaged_file_that_can_be_made_is_made_again(damage, inputs, tmp_path):
    made_again("converted", damage, inputs, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", MADE_AGAIN)
def test_every_damaged_file_that_can_be_made_is_made_again(name, damage, inputs, tmp_path):
    made_again(name, damage, inputs, tmp_path)


DOWNLOADED = {  # what is wrong in the cache of a download, and the sentence; None: it goes on
    "junk in the part": (lambda cache: write(cache / "downloads/a.part", b"junk"), None),
    "a part that is too long": (lambda cache: write(cache / "downloads/a.part", bytes(1 << 20)), None),
    "a whole file of another content": (lambda cache: write(cache / "downloads/a", b"junk"), None),
    "half a member": (lambda cache: write(cache / "downloads/a.member", b"junk"), None),
    "a record that is none": (lambda cache: write(cache / "verified/a.json", b"[" * 100), None),
    "a record that is a folder": (lambda cache: (cache / "verified/a.json").mkdir(parents=True), None),
    "a part that is a folder": (lambda cache: (cache / "downloads/a.part").mkdir(parents=True), "cannot be written"),
    "a lock that is a folder": (lambda cache: (cache / "downloads/.lock").mkdir(parents=True), "cannot be written"),
    "a weight that is a folder": (lambda cache: (cache / "weights/a").mkdir(parents=True), "cannot be written"),
    "weights that are a file": (lambda cache: write(cache / "weights", b"junk"), "cannot be written"),
    "a weight that is another file": (lambda cache: write(cache / "weights/a", b"junk"), "is truncated"),
}


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.mark.parametrize("case", DOWNLOADED)
def test_a_damaged_cache_of_downloads_is_mended_or_named(case, inputs, tmp_path):
    make, said = DOWNLOADED[case]
    (tmp_path / "cache").mkdir()
    make(tmp_path / "cache")
    end = Running(replace(CASES["download"], arguments=("a",)), tmp_path, inputs("download")).end()
    assert "Traceback" not in end.error, end
    if said is None:
        assert end.code == 0, end
        assert (tmp_path / "cache/weights/a").read_bytes() == (inputs("download") / "sent/a").read_bytes()
    else:
        assert end.code == 2 and said in one_sentence(end.sentence.removeprefix("error: ")), end
