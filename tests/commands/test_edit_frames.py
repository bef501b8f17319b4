"""scripts/edit.py --photo on frames: their order, what is done already, faces that move, and --steady."""

import json
import re
import sys

import numpy as np
import pytest
import toy_cases as toy
from photo_edit_cases import QuickInverter, face, flicker, pan, picture, quick
from test_edit_photo import CONFIG, files, pixels
from test_edit_photo import run as run  # the fixture

from where2edit.commands import cli
from where2edit.commands import edit as edits
from where2edit.editor.build import build_generator
from where2edit.editor.profile import load_profile
from where2edit.inversion.base import Inverted
from where2edit.photo_editing import faces as photo_faces
from where2edit.photos.alignment import Alignment
from where2edit.photos.frames import is_pattern, matching

PROMPT = ("--prompt", "a beard", "--coverage", "1")


def number(photo):
    """The number in the name of a frame."""
    return int(re.findall(r"\d+", photo.name)[-1])


@pytest.fixture
def frames(monkeypatch, tmp_path):
    """Three frames, 9 to 11, with a face that moves to the left and, from the second on, a larger one."""
    _, calls = quick(monkeypatch)
    folder = tmp_path / "frames"
    folder.mkdir()
    for n in range(9, 12):
        picture(seed=n).save(folder / f"f{n}.png")

    def find(photo):
        n = number(photo)
        small = face(108 - n, 80, 70, 2 if n > 9 else 1)
        return (face(200, 80, 90), small) if n > 9 else (small,)

    monkeypatch.setattr(photo_faces, "find_faces", find)
    return calls


def recipes(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.glob("frame*.json"))]


def test_frames_are_taken_in_the_order_in_which_people_count_and_numbered(frames, run, tmp_path):
    code, _, error = run("--photo", "frames/*.png", *PROMPT)
    assert code == 0, error
    made = recipes(tmp_path / "out")
    assert [each["photo"]["faces"][0]["number"] for each in made] == [1, 2, 2], "the same face, which another outgrows"
    assert [each["photo"]["path"] for each in made] == [f"../frames/f{n}.png" for n in range(9, 12)]
    written = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert [name[:9] for name in written] == [f"frame000{n}" for n in range(1, 4)]
    assert len({name[9:] for name in written}) == 1, "one pattern names them all"
    starts = [start for _, start, _ in frames]
    assert starts[0] is None and all(start is not None for start in starts[1:]), "each begins with the codes before"


def test_a_frame_without_the_face_stays_as_it_is(frames, run, monkeypatch, tmp_path):
    find = photo_faces.find_faces
    monkeypatch.setattr(photo_faces, "find_faces", lambda photo: find(photo)[: 0 if number(photo) == 10 else 2])
    code, _, error = run("--photo", "frames", *PROMPT)
    assert code == 0 and "f10.png has no face near 100, 70, where the frame before has one" in error
    (photo,) = (tmp_path / "out").glob("frame0002-*.png")
    assert np.array_equal(pixels(photo), pixels(tmp_path / "frames/f10.png"))
    last = recipes(tmp_path / "out")[2]
    assert last["photo"]["faces"][0]["number"] == 2 and last["results"][0]["certificate"]["changed"] > 0
    (path,) = (tmp_path / "out").glob("frame0002-*.json")
    assert run("--replay", path, out="again")[0] == 0
    assert (tmp_path / "again" / photo.name).read_bytes() == photo.read_bytes()


@pytest.mark.parametrize("steady", [pytest.param(False, marks=pytest.mark.slow), True])
def test_what_is_done_is_not_made_again_and_an_interrupted_run_ends_with_the_same_bytes(
    steady, frames, run, monkeypatch, tmp_path
):
    (tmp_path / "frames/f11.png").unlink()
    command = ("--photo", "frames/*.png", *PROMPT, *(["--steady"] if steady else []))
    assert run(*command, out="whole")[0] == 0
    calls = frames
    calls.clear()
    invert = QuickInverter.invert

    def interrupted(self, *arguments, **options):
        if len(calls) == 1:
            raise KeyboardInterrupt
        return invert(self, *arguments, **options)

    monkeypatch.setattr(QuickInverter, "invert", interrupted)
    assert run(*command)[0] == 130
    monkeypatch.setattr(QuickInverter, "invert", invert)
    kept = files(tmp_path / "out")
    code, said, _ = run(*command)
    assert code == 0 and said.count("is done already") == 1 and len(calls) == 2
    made = files(tmp_path / "out")
    assert kept.items() <= made.items() and made == files(tmp_path / "whole")
    monkeypatch.setattr(edits, "Editor", lambda *_: pytest.fail("nothing is left to do"))
    assert run(*command, "--assert-local")[0] == 0 and files(tmp_path / "out") == made


def test_steady_frames_keep_the_mask_and_the_strength_of_the_first(frames, run, tmp_path):
    arguments = ("--prompt", "a beard")
    (tmp_path / "frames/f10.png").unlink()
    assert run("--photo", "frames/f11*.png", *arguments, out="free")[0] == 0
    assert run("--photo", "frames/*.png", *arguments, "--steady")[0] == 0
    free, *steady = (
        [result["faces"][0]["certificate"]["mask_area"] for result in made["results"]]
        for made in [*recipes(tmp_path / "free"), *recipes(tmp_path / "out")]
    )
    assert steady[0] == steady[1] != free
    made = sorted((tmp_path / "out").glob("frame*.json"))
    assert run("--replay", made[1], out="again")[2].count("is not the picture") == 0
    (steady,) = (tmp_path / "out").glob("*-steady.safetensors")
    steady.unlink()
    code, _, error = run("--replay", made[1], out="again")
    assert code == 2 and "frames/f9.png chose are gone or have changed" in error


def test_an_edit_moves_with_its_face(run, editors, weights, monkeypatch, tmp_path):
    source = editors(load_profile(CONFIG), "cpu", weights).source(3)
    quick(monkeypatch)
    found = {n: face(75 + 0.4 * n, 65 + 0.15 * n, 70) for n in range(3)}
    monkeypatch.setattr(photo_faces, "find_faces", lambda photo: (found[number(photo)],))
    monkeypatch.setattr(QuickInverter, "invert", lambda *arguments, **options: Inverted(source.w))
    (tmp_path / "pan").mkdir()
    for n, (photo, _) in enumerate(pan(source.image, Alignment.of(found[0].points), 3, (140, 150))):
        photo.save(tmp_path / f"pan/{n}.png")
    assert run("--photo", "pan", *PROMPT, "--steady")[0] == 0
    before = [pixels(tmp_path / f"pan/{n}.png") for n in range(3)]
    assert flicker(before, [pixels(path) for path in sorted((tmp_path / "out").glob("*.png"))]) < 1.5


@pytest.mark.slow
def test_a_real_edit_of_a_face_that_moves_by_less_than_a_pixel_does_not_flicker(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    generator = build_generator(load_profile(toy.ROOT / "configs/mobile.yaml"))
    image = generator.source(generator.w(generator.sample_z([3]), 0.7)).image
    (tmp_path / "pan").mkdir()
    for n, (photo, _) in enumerate(pan(image, Alignment((160, 160), (160, 0)), 4, (320, 320))):
        photo.save(tmp_path / f"pan/{n}.png")
    arguments = ("--photo", "pan", "--prompt", "blond hair", "--steady", "--quality", "quick", "--out", "out")
    monkeypatch.setattr(sys, "argv", ["edit.py", "--config", str(toy.ROOT / "configs/mobile.yaml"), *arguments])
    with pytest.raises(SystemExit) as end:
        cli.run_command(edits.main, "edits a face")
    assert end.value.code == 0, capsys.readouterr().err
    before = [pixels(tmp_path / f"pan/{n}.png") for n in range(4)]
    assert flicker(before, [pixels(path) for path in sorted((tmp_path / "out").glob("*.png"))]) < 1.5


def test_frames_of_another_command_are_not_taken_for_done(frames, run, tmp_path):
    assert run("--photo", "frames/f9*.png", *PROMPT)[0] == 0
    code, _, error = run("--photo", "frames/f10*.png", *PROMPT)
    assert code == 2 and "is another edit; give another folder with --out, or --overwrite to replace it" in error


def test_what_matches_a_pattern(tmp_path):
    for name in ("f10.png", "f9.JPG", "F1.webp", "notes.txt", ".hidden.png", "[x].png"):
        (tmp_path / name).touch()
    assert [path.name for path in matching(str(tmp_path))] == ["[x].png", "F1.webp", "f9.JPG", "f10.png"]
    assert [path.name for path in matching(f"{tmp_path}/f*")] == ["f9.JPG", "f10.png"]
    assert is_pattern(str(tmp_path)) and is_pattern(f"{tmp_path}/*.png") and is_pattern("absent[1].png")
    assert not is_pattern(f"{tmp_path}/[x].png") and not is_pattern("absent.png")
