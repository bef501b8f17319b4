"""scripts/edit.py --photo: every pixel outside of the edit is the photo's, kept inversions, replays, and mistakes."""

import json
import sys
import warnings
from functools import cache

import numpy as np
import pytest
import toy_cases as toy
from photo_edit_cases import face, picture, quick
from picture_files import ADOBE, HUGE, OTHERS, encoded, noise, write
from PIL import ExifTags, Image
from test_edit_script import OF_PHOTOS

from where2edit.commands import cli, profiles
from where2edit.commands import edit as edits
from where2edit.editor.profile import load_profile
from where2edit.files.picture_reading import FORMATS
from where2edit.photos import paste
from where2edit.photos.photo import read_photo

CONFIG = str(toy.ROOT / "configs/toy.yaml")
BEARD = ("--photo", "me.png", "--prompt", "a beard")
TWO = (face(70, 80, 80), face(180, 90, 66, 2))


read_once = cache(load_profile)


@pytest.fixture
def run(monkeypatch, capsys, editors, weights, tmp_path):
    """Call the script in this process: (exit code, stdout, stderr); writes into the folder `out`."""
    monkeypatch.setattr(edits, "Editor", editors)
    monkeypatch.setattr(profiles, "load_profile", lambda config, overrides: read_once(config, tuple(overrides)))
    monkeypatch.chdir(tmp_path)

    def call(*arguments, out="out"):
        options = ["--out", out, "--weights", weights]
        options += [] if "--replay" in arguments else ["--config", CONFIG]
        monkeypatch.setattr(sys, "argv", ["edit.py", *options, *map(str, arguments)])
        with warnings.catch_warnings(record=True) as seen, pytest.raises(SystemExit) as end:
            warnings.simplefilter("always")
            cli.run_command(edits.main, "edits a face")
        answer = capsys.readouterr()
        said = [f"warning: {each.message}\n" for each in seen if each.category is UserWarning]
        return end.value.code, answer.out, "".join(said) + answer.err

    return call


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def recipe(folder):
    (path,) = folder.glob("*.json")
    return path, json.loads(path.read_text())


def pixels(path):
    return np.asarray(Image.open(path))


def inputs(folder):
    picture().save(folder / "me.png")
    Image.new("RGB", (48, 40), (200, 150, 90)).save(folder / "reference.png")
    mask = Image.new("L", (240, 170))
    mask.paste(255, (60, 60, 120, 100))
    mask.save(folder / "mask.png")


# Options, and how many photos are written. Those of LONGER are left to the long tests.
LONGER = ("long", "sweep of all faces", "reference", "multiply", "face")
OPTIONS = {
    "mask": (["--prompt", "a beard", "--mask", "mask.png", "--keep-metadata"], 1),
    "several prompts of all faces": (["--prompt", "a beard", "--prompt", "no bangs", "--face", "all"], 2),
    "long": (["--long", "She has blond hair, and a big smile.", "--dtype", "bfloat16"], 2),
    "reference": (["--reference", "reference.png", "--where", "hair", "--strength", "-0.2"], 1),
    "sweep of all faces": (["--prompt", "a beard", "--sweep", "--face", "all"], 2),
    "multiply": (["--prompt", "a", "--mask", "mask.png", "--mask-mode", "multiply", "--coverage", "1"], 1),
    "face": (["--prompt", "a", "--face", "2", "--coverage", "1", "--quality", "quick"], 1),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONGER)) for name in OPTIONS])
def test_every_option_is_local_and_its_recipe_gives_the_same_bytes(name, run, monkeypatch, tmp_path):
    arguments, count = OPTIONS[name]
    inputs(tmp_path)
    monkeypatch.setattr(edits, "SWEEP", (-0.1, 0.2))
    detector, calls = quick(monkeypatch, TWO)
    code, said, error = run("--photo", "me.png", *arguments, "--assert-local", "--allow-full")
    assert code == 0, error
    path, made = recipe(tmp_path / "out")
    before, photos = pixels(tmp_path / "me.png"), sorted((tmp_path / "out").glob(f"{path.stem}-s[tw]*[0-9].png"))
    assert len(photos) == len(made["results"]) == count and said.count("in the photo") == count
    for photo, result in zip(photos, made["results"], strict=True):
        changed, certificate = (pixels(photo) != before).any(2), result["certificate"]
        assert changed.sum() == certificate["changed"] <= certificate["allowed"] < certificate["pixels"] == 240 * 170
        assert certificate["leak"] == 0 and pixels(photo).shape == before.shape
    assert changed.any()
    assert len(calls) == len(made["photo"]["faces"]), "each face is inverted once"
    done = detector.calls, len(calls)
    code, _, error = run("--replay", path, out="again")
    assert code == 0 and "is not the picture" not in error and (detector.calls, len(calls)) == done
    for photo in photos:
        assert (tmp_path / "again" / photo.name).read_bytes() == photo.read_bytes()


def test_every_option_of_photos_is_covered():
    used = {word for arguments, _ in OPTIONS.values() for word in arguments} | {"--photo", "--steady"}
    assert used >= OF_PHOTOS


def test_blending_one_pixel_too_far_is_seen(run, monkeypatch, tmp_path):
    inputs(tmp_path)
    quick(monkeypatch)
    written = paste._written

    def one_too_far(photo, box, seen, aim, inside):
        grown = inside.copy()
        grown[1:] |= inside[:-1]
        return written(photo, box, seen, np.where(grown[..., None], 255 - seen, aim), grown)

    arguments = (*BEARD, "--mask", "mask.png", "--assert-local")
    assert run(*arguments)[0] == 0
    monkeypatch.setattr(paste, "_written", one_too_far)
    code, said, _ = run(*arguments)
    assert code == 1 and "leak 0" not in said.split("in the photo")[1]


def test_a_mask_is_painted_over_the_photo_itself(run, monkeypatch, tmp_path):
    """Half of its size and all of it; painted over another place it has another effect."""
    inputs(tmp_path)
    quick(monkeypatch)
    mask = Image.open(tmp_path / "mask.png")
    mask.resize((120, 85)).save(tmp_path / "half.png")
    changed = []
    for name in ("mask.png", "half.png"):
        assert run(*BEARD, "--mask", name, out=name[:4])[0] == 0
        (photo,) = (tmp_path / name[:4]).glob("*-step1.png")
        changed.append((pixels(photo) != pixels(tmp_path / "me.png")).any(2))
    rows, columns = (np.flatnonzero(changed[0].any(axis)) for axis in (1, 0))
    assert 40 <= rows[0] < 62 and 98 < rows[-1] <= 120 and 40 <= columns[0] < 62 and 118 < columns[-1] <= 140
    assert (changed[0] != changed[1]).mean() < 0.01


def test_a_mask_that_misses_the_faces_is_refused_and_leaves_out_those_that_it_misses(run, monkeypatch, tmp_path):
    inputs(tmp_path)
    _, calls = quick(monkeypatch, (face(60, 60, 70), face(190, 130, 66, 2)))
    mask = Image.new("L", (240, 170))
    mask.paste(255, (205, 140, 225, 160))
    mask.save(tmp_path / "mask.png")
    code, said, error = run(*BEARD, "--mask", "mask.png", "--face", 1)
    assert (code, said) == (2, "") and "the mask paints nothing of the faces to edit; paint white" in error
    assert not calls, "nothing was inverted for it"
    code, _, error = run(*BEARD, "--mask", "mask.png", "--face", "all")
    assert code == 0 and "the mask paints nothing of face 1, which stays as it is" in error and len(calls) == 1
    _, made = recipe(tmp_path / "out")
    assert [each["face"] for each in made["results"][0]["faces"]] == [2]


def test_the_next_edit_of_a_photo_starts_at_once(run, monkeypatch, tmp_path):
    inputs(tmp_path)
    detector, calls = quick(monkeypatch)
    assert run(*BEARD)[0] == 0
    (tmp_path / "me.png").rename(tmp_path / "renamed.png")
    assert run("--photo", "renamed.png", "--prompt", "a big smile")[0] == 0
    assert run("--photo", "renamed.png", "--prompt", "bangs", "--quality", "quick")[0] == 0
    assert (detector.calls, len(calls)) == (1, 1)
    assert run("--photo", "renamed.png", "--prompt", "bangs", "--quality", "best")[0] == 0
    assert [quality for quality, _, _ in calls] == ["good", "best"]


def test_a_replay_without_its_inversion_inverts_again(run, monkeypatch, tmp_path):
    inputs(tmp_path)
    _, calls = quick(monkeypatch, TWO)
    run(*BEARD, "--face", 2)
    path, made = recipe(tmp_path / "out")
    (kept,) = (tmp_path / "out").glob("me-face2-good-*.safetensors")
    assert made["photo"]["faces"][0]["inversion"]["path"] == kept.name
    kept.unlink()
    code, _, error = run("--replay", path, out="again")
    assert code == 0 and "is gone or has changed: the face is inverted again" in error and len(calls) == 2
    (photo,) = (tmp_path / "again").glob("*-step1.png")
    assert photo.read_bytes() == (tmp_path / "out" / photo.name).read_bytes()


def test_a_replay_needs_the_photo_that_made_the_recipe(run, monkeypatch, tmp_path):
    inputs(tmp_path)
    quick(monkeypatch)
    run(*BEARD)
    path, _ = recipe(tmp_path / "out")
    picture(seed=1).save(tmp_path / "me.png")
    code, _, error = run("--replay", path, out="again")
    assert code == 2 and "me.png has changed since the recipe was made; put the old file back" in error


def test_several_faces_are_numbered_in_a_picture_and_the_largest_is_taken(run, monkeypatch, tmp_path):
    inputs(tmp_path)
    quick(monkeypatch, TWO)
    code, _, error = run(*BEARD)
    (numbered,) = (tmp_path / "out").glob("me-faces-*.png")
    said = f"has 2 faces: the largest is edited; --face takes another number of out/{numbered.name}, or all"
    assert code == 0 and error.count(said) == 1
    assert run("--photo", "me.png", "--prompt", "bangs")[2].count(said) == 1, "no detector has looked again"


def test_two_faces_are_edited_each_in_its_own_crop(run, monkeypatch, tmp_path):
    inputs(tmp_path)
    quick(monkeypatch, (face(60, 60, 70), face(190, 110, 66, 2)))
    changed = {}
    for which in ("1", "all"):
        assert run(*BEARD, "--coverage", "1", "--face", which, out=f"out{which}")[0] == 0
        (photo,) = (tmp_path / f"out{which}").glob("*-step1.png")
        changed[which] = (pixels(photo) != pixels(tmp_path / "me.png")).any(2)
    more = changed["all"] & ~changed["1"]
    assert changed["1"].any() and (changed["1"] <= changed["all"]).all()
    assert more.any() and np.flatnonzero(more.any(0)).min() > 110


def exif():
    tags = Image.Exif()
    tags[ExifTags.Base.Artist] = "me"
    tags.get_ifd(ExifTags.IFD.GPSInfo).update({ExifTags.GPS.GPSLatitudeRef: "N"})
    tags[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    return tags.tobytes()


@pytest.mark.parametrize("keep", [False, True])
def test_the_place_is_left_out_unless_it_is_to_be_kept(keep, run, monkeypatch, tmp_path):
    picture().save(tmp_path / "me.jpg", exif=exif(), quality=95)
    quick(monkeypatch)
    code, _, error = run("--photo", "me.jpg", "--prompt", "a beard", *(["--keep-metadata"] if keep else []))
    (photo,) = (tmp_path / "out").glob("*-step1.png")
    tags = Image.open(photo).getexif()
    assert code == 0 and tags[ExifTags.Base.Artist] == "me", error
    assert bool(tags.get_ifd(ExifTags.IFD.GPSInfo)) == keep


def test_the_original_is_never_replaced(run, monkeypatch, tmp_path):
    inputs(tmp_path)
    quick(monkeypatch)
    picture().save(tmp_path / "frame0001-a-beard-step1.png")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/f.png").symlink_to(tmp_path / "frame0001-a-beard-step1.png")
    before = files(tmp_path)
    for name in ("frame*.png", ".", "links"):
        code, said, error = run("--photo", name, "--prompt", "a beard", "--overwrite", out=".")
        assert (code, said) == (2, "") and "holds the frames, and what is written would be one of them" in error
    assert files(tmp_path) == before
    assert run(*BEARD, "--overwrite", out=".")[0] == 0 and before.items() <= files(tmp_path).items()


MISTAKES = {
    "no photo": (["--photo", "absent.png"], "no photo at absent.png; give the path of a file"),
    "empty": (["--photo", ""], "argument --photo is empty|--photo is empty"),
    "text": (["--photo", "text.png"], "text.png cannot be read as a photo"),
    "no match": (["--photo", "frames/*.png"], "nothing matches the pattern frames/*.png; give the path of PNG"),
    "no picture": (["--photo", "empty"], "the folder empty holds no picture; give the path of PNG"),
    "seed": (["--photo", "me.png", "--seed", "1"], "give one of --seed, --seeds and --latent, or --photo"),
    "latent": (["--photo", "me.png", "--latent", "x"], "give one of --seed, --seeds and --latent, or --photo"),
    "face": (["--face", "2"], "--face is for photos; give one with --photo"),
    "quality": (["--quality", "best"], "--quality is for photos; give one with --photo"),
    "metadata": (["--keep-metadata"], "--keep-metadata is for photos; give one with --photo"),
    "steady": (["--steady"], "--steady is for photos; give one with --photo"),
    "steady photo": (
        ["--photo", "me.png", "--steady"],
        "--steady is for frames, and me.png is one photo; give a folder",
    ),
    "steady sweep": (["--photo", "*.png", "--steady", "--sweep"], "--steady keeps one strength, and --sweep shows"),
    "face 0": (["--photo", "me.png", "--face", "0"], "--face is 0; allowed: 1 to 10,000 or all"),
    "face of words": (
        ["--photo", "me.png", "--face", "left"],
        "--face is 'left'; give a whole number, 1 to 10,000 or all",
    ),
    "face 3": (["--photo", "me.png", "--face", "3"], "face 3 is asked for, but the photo me.png has 2 faces"),
    "better": (["--photo", "me.png", "--quality", "better"], "--quality: invalid choice: 'better'"),
    "mask": (["--photo", "me.png", "--mask", "square.png"], "is 32x32 px; it must have the photo's size, 240x170, or"),
    "black mask": (["--photo", "me.png", "--mask", "black.png"], "the mask black.png is black everywhere"),
    "strength": (["--photo", "me.png", "--strength", "auto"], "strength auto needs a calibration"),
    "replay": (["--replay", "x.json", "--photo", "me.png"], "leave out photo"),
    "replay, face": (["--replay", "x.json", "--face", "all"], "leave out face"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence_and_nothing_is_written(name, run, monkeypatch, tmp_path):
    arguments, sentence = MISTAKES[name]
    inputs(tmp_path)
    quick(monkeypatch, TWO)
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty").mkdir()
    Image.new("L", (32, 32), 255).save(tmp_path / "square.png")
    Image.new("L", (240, 170)).save(tmp_path / "black.png")
    code, said, error = run(*arguments, *([] if "--replay" in arguments else ["--prompt", "a beard"]))
    assert (code, said) == (2, "") and any(part in error for part in sentence.split("|")), error
    lines = [line for line in error.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1 and lines[0].startswith("error: ") and len(lines[0]) < 320
    assert {path.suffix for path in (tmp_path / "out").glob("*")} <= {".png"}, "but for the numbers of faces"


def test_long_texts_and_frames_exclude_each_other(run, monkeypatch, tmp_path):
    inputs(tmp_path)
    code, _, error = run("--photo", "m*.png", "--long", "a beard and bangs")
    assert code == 2 and "--long is put into the order that suits one photo; give --prompt for frames" in error


def test_a_photo_without_a_face_is_refused_before_anything_is_loaded(run, monkeypatch, tmp_path):
    inputs(tmp_path)
    quick(monkeypatch, ())
    monkeypatch.setattr(edits, "Editor", lambda *_: pytest.fail("the editor is built"))
    code, said, error = run(*BEARD)
    assert (code, said) == (2, "") and "no face was found in the photo me.png (240x170 px)" in error
    assert not list((tmp_path / "out").iterdir())


BAD = {kind: (data, "PNG, JPEG, WebP, TIFF, BMP or GIF") for kind, data in OTHERS.items()}
BAD |= {f"too large: {kind}": (data, "bad.png cannot be read as a photo") for kind, data in HUGE.items()}
for _kind in FORMATS:
    _data = encoded(_kind, noise())
    BAD[f"broken off: {_kind}"] = (_data[: len(_data) // 2], "bad.png cannot be read as a photo")
for _kind in ("GIF", "PNG", "WEBP", "TIFF"):
    _data = encoded(_kind, noise(), save_all=True, append_images=[noise(mode="L").convert("RGB")])
    BAD[f"moves: {_kind}"] = (_data, "holds several pictures")
BAD |= {f"mode {mode}": (encoded("TIFF", Image.new(mode, (9, 9))), "it has pixels of mode") for mode in ("I", "F")}
NO_FACE = {
    "one pixel": Image.new("RGB", (1, 1)),
    "a row": Image.new("RGB", (5000, 1), (90, 90, 90)),
    "a column": Image.new("RGB", (1, 5000), (90, 90, 90)),
    "black": Image.new("1", (30, 30)),
    "clear": Image.new("RGBA", (30, 20), (200, 90, 90, 0)),
}
BAD |= {case: (encoded("PNG", picture), "no face was found in the photo bad.png") for case, picture in NO_FACE.items()}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_picture_is_one_sentence(case, run, monkeypatch, tmp_path):
    data, sentence = BAD[case]
    write(tmp_path / "bad.png", data)
    quick(monkeypatch, ())
    code, said, error = run("--photo", "bad.png", "--prompt", "a beard")
    assert (code, said) == (2, "") and sentence in error and error.startswith("error: ")
    assert len(error.splitlines()) == 1 and len(error) < 320 and not list((tmp_path / "out").glob("*"))


def turned():
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = 6
    return encoded("PNG", picture(170, 240), exif=tags)


SOON = ("RGBA, half clear", "on its side")  # the others are left to the long tests
ODD = {
    "1": encoded("PNG", picture().convert("1")),
    "LA": encoded("PNG", picture().convert("LA")),
    "P": encoded("GIF", picture().quantize(64)),
    "RGBA, half clear": encoded("PNG", Image.merge("RGBA", (*picture().split(), Image.new("L", (240, 170), 120)))),
    "16 bits": encoded("PNG", Image.fromarray(np.asarray(picture().convert("L")).astype(np.uint16) * 257)),
    "CMYK": encoded("TIFF", picture().convert("CMYK")),
    "a profile": encoded("JPEG", picture(), icc_profile=ADOBE),
    "on its side": turned(),
}


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[pytest.mark.slow] * (case not in ("RGBA, half clear", "on its side"))) for case in ODD],
)
@pytest.mark.filterwarnings("ignore:the photo .* is a picture with")
def test_an_odd_picture_is_edited_and_written_as_it_is_seen(case, run, monkeypatch, tmp_path):
    path = write(tmp_path / "odd.png", ODD[case])
    quick(monkeypatch)
    code, _, error = run(
        "--photo", "odd.png", "--prompt", "a beard", "--coverage", "1", "--assert-local", "--allow-full"
    )
    assert code == 0, error
    (made,) = (tmp_path / "out").glob("*-step1.png")
    photo, edited = read_photo(path), read_photo(made)
    changed = (photo.pixels != edited.pixels).any(2)
    assert 0 < changed.sum() == recipe(tmp_path / "out")[1]["results"][0]["certificate"]["changed"]
    assert edited.profile == photo.profile and (edited.alpha is None) == (photo.alpha is None)


def test_there_are_sixty_pictures():
    assert len(BAD) + len(ODD) >= 60
