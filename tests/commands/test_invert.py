"""scripts/invert.py: the inversions of a photo's faces are those that its edits use, and no face is inverted twice."""

import pytest
import torch
import toy_cases as toy
from hostile_cases import call
from inversion_cases import use_small_networks
from photo_edit_cases import Detector, face, picture, quick

from where2edit.commands import edit, invert
from where2edit.editor.latents import load_latent
from where2edit.files import pictures
from where2edit.inversion import inverter
from where2edit.inversion.base import InversionEncoder
from where2edit.inversion.kept import read_kept
from where2edit.photo_editing import faces as edited_faces
from where2edit.photos import faces
from where2edit.photos.alignment import crop
from where2edit.photos.photo import read_photo

CONFIG = ("--config", toy.ROOT / "configs/toy.yaml")
TWO = (face(70, 80, 80), face(180, 90, 66, 2))


@pytest.fixture
def run(monkeypatch, capsys, editors, weights, tmp_path):
    """Call a script in this process: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    picture().save("me.png")
    monkeypatch.setattr(edit, "Editor", editors)
    monkeypatch.setattr(invert, "Editor", lambda profile, device: editors(profile, device, weights))
    monkeypatch.setattr(invert, "CELL", 32)

    def asked(name, *options):
        own = ("--weights", weights) if name == "edit" else ()
        return call(monkeypatch, capsys, name, "--photo", "me.png", "--out", "out", *CONFIG, *own, *options)

    return asked


def kept(folder):
    return sorted(folder.glob("me-face*.safetensors"))


def test_an_edit_uses_what_was_inverted_and_nothing_is_inverted_twice(run, monkeypatch, tmp_path):
    detector, calls = quick(monkeypatch, TWO)
    code, said, error = run("invert", "--face", "all", "--quality", "quick")
    assert code == 0, error
    first, second = kept(tmp_path / "out")
    assert [read_kept(each).of.face for each in (first, second)] == [1, 2]
    shown = [each.with_suffix(".png") for each in (first, second)]
    assert said.split() == [f"out/{path.name}" for pair in zip((first, second), shown, strict=True) for path in pair]
    assert all(pictures.read_picture(each).size[0] > 2 * 32 for each in shown)
    before = first.read_bytes()
    assert run("invert", "--quality", "quick")[0] == 0
    assert run("edit", "--prompt", "a beard", "--face", "2", "--quality", "quick")[0] == 0
    assert [quality for quality, _, _ in calls] == ["quick"] * 2 and detector.calls == 1
    assert first.read_bytes() == before
    assert run("invert")[0] == 0 and [quality for quality, _, _ in calls] == ["quick"] * 2 + ["good"]


class Brightness(InversionEncoder):
    """Codes as far from the mean face as a face is bright."""

    name = "brightness"

    def __init__(self, config, generator):
        super().__init__()
        self.asked, self.w_mean, self.num_w = config.name, generator.w_mean, generator.num_w

    def codes(self, faces):
        return (self.w_mean + faces.mean((1, 2, 3))[:, None]).repeat(1, self.num_w, 1)


def test_the_inversion_is_the_profile_s_and_its_codes_are_a_latent(run, monkeypatch, tmp_path):
    use_small_networks(monkeypatch)
    monkeypatch.setattr(inverter, "DIRECTION_SAMPLES", 1200)
    built = []
    monkeypatch.setattr(inverter, "build_inversion", lambda *given: built.append(Brightness(*given)) or built[0])
    monkeypatch.setattr(edited_faces, "find_faces", Detector(TWO[:1]))
    monkeypatch.setattr(faces, "look_closer", lambda photo, face: face)
    code, _, error = run("invert", "inversion.name=e4e", "inversion.w_steps=0", "inversion.canvas_steps=0")
    assert code == 0 and built[0].asked == "e4e", error
    (path,) = kept(tmp_path / "out")
    found = read_kept(path)
    seen = crop(read_photo("me.png"), found.alignment, 32)
    assert found.inverted.residual is None
    torch.testing.assert_close(found.inverted.w, built[0].codes(seen), rtol=1e-3, atol=1e-3)
    assert torch.equal(load_latent(path), found.inverted.w)


MISTAKES = {
    "no photo": (("--photo", "absent.png"), "no photo at absent.png; give the path of a file"),
    "a folder": (("--photo", "."), "no photo at .: it is a folder"),
    "face 3": (("--face", "3"), "face 3 is asked for, but the photo me.png has 2 faces"),
    "face 0": (("--face", "0"), "--face is 0; allowed: 1 to 10,000 or all"),
    "better": (("--quality", "better"), "--quality: invalid choice: 'better'"),
    "a key": (("inversion.step=3",), "unknown key 'inversion.step'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence_and_no_inversion_is_written(name, run, monkeypatch, tmp_path):
    options, sentence = MISTAKES[name]
    quick(monkeypatch, TWO)
    code, said, error = run("invert", *options)
    assert (code, said) == (2, "") and sentence in error and "Traceback" not in error, error
    assert not kept(tmp_path / "out")
