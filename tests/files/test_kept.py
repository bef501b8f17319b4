"""What is kept in the cache: made once, made again where it is damaged, and made each time where there is no cache."""

import pytest
import torch

from where2edit.files.kept import kept

SHAPES = {"a": (2, 3)}


class Maker:
    """Makes the tensors and counts how often."""

    def __init__(self, shape=(2, 3)):
        self.shape, self.calls = shape, 0

    def __call__(self):
        self.calls += 1
        return {"a": torch.arange(6.0).reshape(self.shape)}


def test_tensors_are_made_once_for_what_they_are_made_from(tmp_path, monkeypatch):
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path))
    make = Maker()
    for _ in range(2):
        assert torch.equal(kept("things", [1, "x"], SHAPES, make)["a"], torch.arange(6.0).reshape(2, 3))
    assert make.calls == 1
    kept("things", [2, "x"], SHAPES, make)
    assert make.calls == 2 and len(list((tmp_path / "things").iterdir())) == 2


@pytest.mark.parametrize("damage", ["short", "flipped", "empty", "folder", "other"])
def test_what_is_damaged_or_another_is_made_again(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path))
    kept("things", 1, {"a": (3, 2)} if damage == "other" else SHAPES, Maker((3, 2) if damage == "other" else (2, 3)))
    (file,) = (tmp_path / "things").iterdir()
    content, make = file.read_bytes(), Maker()
    if damage == "folder":
        file.unlink()
        file.mkdir()
    elif damage != "other":
        file.write_bytes({"short": content[:-2], "flipped": content[:-1] + b"\7", "empty": b""}[damage])
    assert torch.equal(kept("things", 1, SHAPES, make)["a"], torch.arange(6.0).reshape(2, 3)) and make.calls == 1


def test_without_a_cache_they_are_made_each_time(tmp_path, monkeypatch):
    make, blocked = Maker(), tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(blocked))
    kept("things", 1, SHAPES, make)
    monkeypatch.setenv("WHERE2EDIT_CACHE", "~nobody-of-this-name/cache")
    kept("things", 1, SHAPES, make)
    assert make.calls == 2
