"""One dialect of safetensors is written; the files of earlier versions are read as if they were of it."""

import pytest
import torch
from safetensors.torch import save_file

from where2edit.files import tensorfile

X = {"x": torch.arange(6.0).view(2, 3)}


def test_what_is_written_is_read_and_the_same_content_gives_the_same_bytes(tmp_path):
    metadata = {"b": "2", "a": "1", "c": "3"}
    paths = [tensorfile.write(tmp_path / f"sub/{i}.safetensors", X, "editor", metadata) for i in range(5)]
    tensors, found = tensorfile.read(paths[0], "editor")
    assert torch.equal(tensors["x"], X["x"]) and found == metadata | {"format": "where2edit.editor"}
    assert tensorfile.read_metadata(paths[0], "editor") == found
    assert len({path.read_bytes() for path in paths}) == 1


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ({"format": "where2edit.regions"}, "regions"),
        ({"format": "where2edit", "model": "facetext"}, "facetext"),
        ({"format": "where2edit", "generator": "mobilestylegan"}, "mobilestylegan"),
        ({"format": "where2edit-faces"}, "faces"),
    ],
)
def test_files_of_every_version_are_read(metadata, kind, tmp_path):
    save_file(X, tmp_path / "old", metadata)
    tensors, found = tensorfile.read(tmp_path / "old", kind)
    assert torch.equal(tensors["x"], X["x"]) and found["format"] == f"where2edit.{kind}"
    with pytest.raises(ValueError, match=f"says format=where2edit.{kind}, expected where2edit.other; make another"):
        tensorfile.read(tmp_path / "old", "other", "make another")


def test_a_file_that_says_nothing_is_read_where_any_kind_will_do(tmp_path):
    save_file(X, tmp_path / "bare")
    assert tensorfile.read(tmp_path / "bare")[1] == {}
    with pytest.raises(ValueError, match="says format=nothing, expected where2edit.editor"):
        tensorfile.read_metadata(tmp_path / "bare", "editor")


def test_missing_and_broken_files_are_one_sentence_with_the_advice(tmp_path):
    (tmp_path / "broken").write_bytes(b"0123456789")
    with pytest.raises(ValueError, match="no weights at .*absent; train it"):
        tensorfile.read(tmp_path / "absent", "editor", "train it")
    with pytest.raises(ValueError, match="broken is not a safetensors file .*; train it"):
        tensorfile.read_metadata(tmp_path / "broken", "editor", "train it")


def test_an_interrupted_write_leaves_what_was_there(tmp_path):
    path = tensorfile.write(tmp_path / "kept", X, "editor", {})
    before = path.read_bytes()
    with pytest.raises(TypeError):
        tensorfile.write(path, X, "editor", {"number": 1})
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["kept"]
