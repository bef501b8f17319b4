"""Kept inversions: read back as they were, found by what they are of, refused when damaged."""

from dataclasses import replace

import pytest
import torch
from photo_cases import square
from special_files import refused

from where2edit.files import tensorfile
from where2edit.inversion.base import Inverted
from where2edit.inversion.kept import KIND, InversionOf, KeptInversion, find_kept, read_kept

OF = InversionOf("a" * 64, 2, "good", "digest")


def kept(of=OF, seed=0, residual=True):
    draw = torch.Generator().manual_seed(seed)
    w, more = torch.randn(1, 8, 512, generator=draw), torch.randn(1, 4, 16, 16, generator=draw)
    return KeptInversion(of, square(100.25, 80.125, 33.3, 12), Inverted(w, more if residual else None), 3)


@pytest.mark.parametrize("residual", [True, False])
def test_an_inversion_is_read_as_it_was_written(residual, tmp_path):
    one = kept(residual=residual)
    again = read_kept(one.write(OF.path(tmp_path, "me")))
    assert (again.of, again.alignment, again.faces) == (one.of, one.alignment, 3)
    assert torch.equal(again.inverted.w, one.inverted.w)
    assert (again.inverted.residual is not None) == residual
    assert not residual or torch.equal(again.inverted.residual, one.inverted.residual)


def test_an_inversion_is_found_whatever_its_photo_is_called(tmp_path):
    kept().write(OF.path(tmp_path, "me"))
    path, found = find_kept(tmp_path, OF)
    assert found.of == OF and path.name.startswith("me-face2-good-")
    path.rename(tmp_path / f"somebody-{OF.key}.safetensors")
    assert find_kept(tmp_path, OF)[0].name.startswith("somebody")


@pytest.mark.parametrize(
    "other", [{"photo_sha256": "b" * 64}, {"face": 1}, {"made_with": "another"}, {"quality": "quick"}]
)
def test_another_face_photo_or_way_to_invert_is_not_taken(other, tmp_path):
    of = replace(OF, **other)
    kept(of).write(of.path(tmp_path, "me"))
    assert find_kept(tmp_path, OF) is None


def test_a_better_quality_is_taken_for_a_lower_one(tmp_path):
    for seed, quality in enumerate(("quick", "best")):
        of = replace(OF, quality=quality)
        kept(of, seed).write(of.path(tmp_path, "me"))
    for quality in ("quick", "good", "best"):
        assert find_kept(tmp_path, replace(OF, quality=quality))[1].of.quality == "best"


def test_a_damaged_one_is_left_out_with_a_warning(tmp_path):
    path = kept().write(OF.path(tmp_path, "me"))
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="an inversion is not used"):
        assert find_kept(tmp_path, OF) is None


WRONG = {
    "no w": {"w": None},
    "w of two faces": {"w": torch.zeros(2, 8, 512)},
    "a flat w": {"w": torch.zeros(8, 512)},
    "a flat residual": {"residual": torch.zeros(4, 16)},
    "no place": {"alignment": None},
    "a short place": {"alignment": torch.zeros(3)},
    "a point": {"alignment": torch.tensor([9.0, 9.0, 0.0, 0.0])},
    "far away": {"alignment": torch.tensor([1e9, 0.0, 9.0, 0.0])},
    "a face too many": {"face": "4"},
    "face 0": {"face": "0"},
    "a face of words": {"face": "two"},
    "no quality": {"quality": ""},
    "another quality": {"quality": "better"},
    "no photo": {"photo_sha256": ""},
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_inversion_is_refused(case, tmp_path):
    tensors, metadata = tensorfile.read(kept().write(tmp_path / "x.safetensors"), KIND)
    metadata.pop("format")
    for name, value in WRONG[case].items():
        into = metadata if isinstance(value, str) else tensors
        into.pop(name) if value is None else into.update({name: value})
    path = tensorfile.write(tmp_path / "y.safetensors", tensors, KIND, metadata)
    refused(lambda: read_kept(path), "y.safetensors")
