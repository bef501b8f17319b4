"""One flipped byte is seen: in files that we write, in converted ones, which are made again, and in shipped ones."""

import os
import subprocess
from pathlib import Path

import official_files as official
import pytest
import torch
from safetensors.torch import save_file

from where2edit.files import checksums, formats, tensorfile

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def flip(path, place=-100):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def large(path):
    """A file that is large enough for its check to be recorded."""
    return tensorfile.write(path, {"x": torch.arange(1 << 20, dtype=torch.float32)}, "editor", {"a": "1"})


@pytest.mark.parametrize("place", [-1, -2_000_000, 400])
def test_a_flipped_byte_is_seen(place, tmp_path):
    path = large(tmp_path / "x")
    tensorfile.read(path, "editor")
    flip(path, place)
    with pytest.raises(ValueError, match="is damaged: its content has changed since it was written; train it"):
        tensorfile.read(path, "editor", "train it")
    assert not tensorfile.intact(path, "editor")
    flip(path, place)
    tensorfile.read(path, "editor")


def test_the_metadata_are_part_of_the_content_and_the_checksum_is_not_shown(tmp_path):
    path = large(tmp_path / "x")
    assert tensorfile.read(path)[1] == tensorfile.read_metadata(path) == {"a": "1", "format": "where2edit.editor"}
    path.write_bytes(path.read_bytes().replace(b'"a":"1"', b'"a":"2"'))
    with pytest.raises(ValueError, match="is damaged"):
        tensorfile.read(path)


def test_a_large_file_is_hashed_once_and_again_when_it_changes(tmp_path, monkeypatch):
    path, hashed = large(tmp_path / "x"), []
    content = checksums._file_content
    monkeypatch.setattr(checksums, "_file_content", lambda path: (hashed.append(path), content(path))[1])
    for _ in range(3):
        tensorfile.read(path)
        assert tensorfile.intact(path, "editor")
    assert len(hashed) == 1
    os.utime(path)
    tensorfile.read(path)
    assert len(hashed) == 2


def test_a_file_without_a_checksum_is_read_but_not_known_to_be_intact(tmp_path):
    save_file({"x": torch.ones(2)}, tmp_path / "x", {"format": "where2edit.editor"})
    assert tensorfile.read(tmp_path / "x", "editor")[0]["x"].tolist() == [1, 1]
    assert not tensorfile.intact(tmp_path / "x", "editor") and not tensorfile.intact(tmp_path / "absent", "editor")


@pytest.mark.parametrize("damage", ["flipped", "cut", "of before checksums", "empty"])
def test_a_converted_file_is_made_again(damage, tmp_path, cache, monkeypatch):
    source = tmp_path / "model_ir_se50.pth"
    torch.save(official.arcface(official.SMALL_WIDTHS, seed=1), source)
    monkeypatch.setattr(formats.assets, "fetch", lambda name: source)
    path = formats.located("arcface-ir-se50")
    whole, before = path.read_bytes(), path.stat().st_mtime_ns
    assert formats.located("arcface-ir-se50") == path and path.stat().st_mtime_ns == before
    if damage == "flipped":
        flip(path)
    elif damage == "of before checksums":
        tensors, metadata = tensorfile.read(path)
        save_file(tensors, path, metadata)
    else:
        path.write_bytes(whole[:1000] if damage == "cut" else b"")
    assert formats.located("arcface-ir-se50").read_bytes() == whole


def test_a_converted_generator_is_made_again(tmp_path, cache, monkeypatch):
    from where2edit.generators import mobilestylegan

    made = []

    def from_ir(*graphs):
        made.append(1)
        return {"w_mean": torch.ones(1000)}

    monkeypatch.setattr(mobilestylegan, "from_ir", from_ir)
    monkeypatch.setattr(mobilestylegan, "Graph", lambda *parts: None)
    monkeypatch.setattr(mobilestylegan.assets, "fetch", lambda name: name)
    path = mobilestylegan.converted()
    whole = path.read_bytes()
    flip(path)
    assert mobilestylegan.converted().read_bytes() == whole and mobilestylegan.converted() == path and len(made) == 2


# Shipped files


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder of shipped weights: one of before checksums, and its list."""
    folder = tmp_path / "pretrained_models"
    folder.mkdir()
    save_file({"x": torch.ones(50)}, folder / "old.safetensors", {"format": "where2edit.editor"})
    listed(folder)
    monkeypatch.setattr(checksums, "shipped", lambda relative: tmp_path / relative)
    return folder


def listed(folder):
    """What adding or replacing a shipped file takes, as CONTRIBUTING.md says it."""
    command = "cd pretrained_models && sha256sum *.safetensors > SHA256SUMS"
    assert command in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    subprocess.run(command, shell=True, cwd=folder.parent, check=True)


def test_a_damaged_shipped_file_is_refused_with_what_to_do(shipped):
    path = shipped / "old.safetensors"
    tensorfile.read(path, "editor")
    flip(path, -1)
    with pytest.raises(ValueError, match=r"damaged or another file.*git checkout -- pretrained_models/old.safetensors"):
        tensorfile.read(path, "editor")
    listed(shipped)
    tensorfile.read(path, "editor")


def test_a_file_that_was_fitted_again_goes_by_its_own_checksum(shipped):
    path = tensorfile.write(shipped / "old.safetensors", {"x": torch.zeros(50)}, "editor", {})
    assert tensorfile.read(path, "editor")[0]["x"].sum() == 0
    tensorfile.write(shipped / "new.safetensors", {"x": torch.zeros(50)}, "editor", {})
    tensorfile.read(shipped / "new.safetensors")
    flip(path, -1)
    with pytest.raises(ValueError, match="is damaged"):
        tensorfile.read(path, "editor")


def test_the_same_file_elsewhere_is_nobodys_business(shipped, tmp_path):
    (tmp_path / "old.safetensors").write_bytes((shipped / "old.safetensors").read_bytes())
    flip(tmp_path / "old.safetensors", -1)
    tensorfile.read(tmp_path / "old.safetensors", "editor")


def test_the_list_is_that_of_the_files_that_are_shipped():
    answer = subprocess.run(["git", "ls-files", "pretrained_models"], cwd=ROOT, capture_output=True, text=True)
    tracked = [name for name in answer.stdout.split() if name.endswith(".safetensors")]
    if answer.returncode or not tracked:
        pytest.skip("this is no checkout")
    check = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=ROOT / "pretrained_models")
    lines = (ROOT / "pretrained_models/SHA256SUMS").read_text(encoding="utf-8").split()
    advice = "run: cd pretrained_models && sha256sum *.safetensors > SHA256SUMS"
    assert check.returncode == 0 and lines[1::2] == sorted(Path(name).name for name in tracked), advice
