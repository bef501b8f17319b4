"""Recipes from outside, names of edits that hold what differs, and replays that say when their bytes are others."""

import json
import math
import os
from dataclasses import replace

import pytest
import torch
import toy_cases as toy
from hostile_cases import one_sentence
from PIL import Image

from where2edit.core import config
from where2edit.core.sentences import one_sentence as shortened
from where2edit.editor.profile import load_profile
from where2edit.editor.recipe_photos import RecipeFace, RecipeFile, RecipePhoto
from where2edit.editor.recipes import MadeWith, Recipe, RecipeStep, input_digests, read_recipe
from where2edit.editor.replays import Replay, how_much
from where2edit.editor.results import check_unclaimed, picture_names, slug, stem_of
from where2edit.editor.steps import Step
from where2edit.files import pictures
from where2edit.files.fingerprints import file_sha256
from where2edit.files.json_files import read_json

CONFIG = config.as_dict(load_profile(toy.ROOT / "configs/toy.yaml"))


def recipe(*steps, **changes):
    """A recipe of one plain step, or of these."""
    steps = tuple(step if isinstance(step, RecipeStep) else RecipeStep(step) for step in steps or ("a beard",))
    changes = {"seed": None if "latent" in changes else 3, **changes}
    return Recipe(CONFIG, "", steps, **changes)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "mask.png"
    Image.new("L", (32, 32), 255).save(path)
    return str(path)


# Recipes from outside


def tree(**changes):
    return {"config": CONFIG, "weights_sha256": "", "steps": [{"prompt": "a beard"}], "seed": 3} | changes


def steps(**changes):
    return tree(steps=[{"prompt": "a beard"} | changes])


FILE = {"path": "x.safetensors", "sha256": "0" * 64}


def photo(inputs=None, **changes):
    named = {"me.png": "1" * 64} if inputs is None else inputs
    return tree(seed=None, photo={"path": "me.png"} | changes, inputs=named)


TREES = {
    "mask mode": (steps(mask_mode="add"), "mask_mode is 'add'; did you mean|mask_mode is 'add'; Known"),
    "mask mode None": (steps(mask_mode=None), "mask_mode is None"),
    "strength 7": (steps(strength=7), "strength is 7; allowed: -1 to 1"),
    "strength nan": (steps(strength=math.nan), "strength is nan"),
    "strength word": (steps(strength="much"), "strength must be float, got str 'much'"),
    "threshold": (steps(threshold=-1), "threshold is -1; allowed: 0 to 1"),
    "more": (steps(more=99), "more is 99; allowed: -4 to 4"),
    "more float": (steps(more=1.5), "more must be int"),
    "prompt number": (steps(prompt=3), "prompt must be str"),
    "prompt missing": (tree(steps=[{}]), "lacks prompt"),
    "unknown key of a step": (steps(colour="red"), "unknown key 'recipe.steps"),
    "mask without its sha256": (steps(mask="mask.png"), "inputs lack the sha256 of mask.png"),
    "reference without": (steps(reference="/dev/zero"), "inputs lack the sha256 of /dev/zero"),
    "latent without": (tree(seed=None, latent="w.safetensors"), "inputs lack the sha256 of w.safetensors"),
    "inputs deleted": (steps(mask="mask.png") | {"inputs": {}}, "inputs lack the sha256 of mask.png"),
    "inputs a list": (tree(inputs=[1]), "inputs must be a mapping"),
    "inputs numbers": (tree(inputs={"a": 1}), "inputs.a must be str"),
    "no steps": (tree(steps=[]), "one step or more"),
    "steps a mapping": (tree(steps={}), "steps must be a list"),
    "steps of nothing": (tree(steps=[None]), "must be a mapping"),
    "no source": (tree(seed=None), "either a seed or a latent"),
    "two sources": (tree(latent="w", inputs={"w": ""}), "either a seed or a latent"),
    "photo without its sha256": (photo(inputs={}), "inputs lack the sha256 of me.png"),
    "first frame without": (photo(first="f.png"), "inputs lack the sha256 of f.png"),
    "photo and seed": (photo() | {"seed": 3}, "either a seed or a latent, or a photo"),
    "photo a path": (tree(seed=None, photo="me.png"), "photo must be a mapping"),
    "photo of nothing": (photo(path=None), "photo.path is None|photo.path must be str"),
    "face 0": (photo(face=0), "face is 0; allowed: 1 to 10,000|face must be|face is 0"),
    "face of words": (photo(face="left"), "face"),
    "better": (photo(quality="better"), "quality is 'better'; did you mean 'best'"),
    "frame 0": (photo(frame=0), "frame is 0; allowed"),
    "faces a number": (photo(faces=3), "faces must be a list"),
    "a face of nothing": (photo(faces=[{}]), "lacks number, inversion"),
    "an inversion of nothing": (photo(faces=[{"number": 1, "inversion": {}}]), "lacks path, sha256"),
    "a place far away": (
        photo(faces=[{"number": 1, "inversion": FILE, "place": 99_999}]),
        "place is 99999",
    ),
    "steady a word": (photo(steady="x"), "steady must be a mapping"),
    "negative seed": (tree(seed=-1), "seed is -1; allowed: 0 to"),
    "huge seed": (tree(seed=10**30), "seed is 1000000000000000000000000000000"),
    "seed word": (tree(seed="3"), "seed must be int, got str '3'"),
    "sweep of two steps": (tree(steps=[{"prompt": "a"}, {"prompt": "b"}], sweep=[0.1]), "the strengths of one step"),
    "sweep 9": (tree(sweep=[0.1, 9]), r"sweep\[1\] is 9"),
    "sweep word": (tree(sweep="all"), "sweep must be a list"),
    "results a word": (tree(results="x"), "results must be a list"),
    "results numbers": (tree(results=[1]), "results"),
    "made with nothing": (tree(made_with={}), "lacks torch, threads, device"),
    "made with threads": (tree(made_with={"torch": "2", "threads": 0, "device": "cpu"}), "threads is 0; allowed"),
    "config a list": (tree(config=[]), "config must be dict"),
    "unknown key": (tree(hello=1), "unknown key 'recipe.hello'"),
    "no config": ({"steps": [{"prompt": "a"}], "seed": 1, "weights_sha256": ""}, "recipe lacks config"),
    "a list": ([], "recipe must be a mapping"),
    "null": (None, "recipe must be a mapping, got None"),
    "a word": ("word", "recipe must be a mapping"),
}


@pytest.mark.parametrize("name", TREES)
def test_a_recipe_that_makes_no_sense_is_one_sentence(name, tmp_path):
    content, match = TREES[name]
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=match) as error:
        read_recipe(tmp_path / "r.json")
    one_sentence(shortened(str(error.value)))


BYTES = {
    "empty": b"",
    "NUL": b"\0" * 100,
    "not JSON": b"{",
    "not UTF-8": b"\xff\xfe{}",
    "deep": b"[" * 100_000,
    "deep and closed": b"[" * 5000 + b"]" * 5000,
    "deep results": json.dumps(tree(results=[]))
    .replace('"results": []', '"results": [' + '{"a":' * 500 + "1" + "}" * 501)
    .encode(),
    "a long number": b'{"seed": ' + b"9" * 5000 + b"}",
    "a key twice": b'{"seed": 1, "seed": 2}',
    "comment": b"// hello\n{}",
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
}


@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_are_no_recipe_are_one_sentence(name, tmp_path):
    (tmp_path / "r.json").write_bytes(BYTES[name])
    with pytest.raises(ValueError, match="is not a") as error:
        read_recipe(tmp_path / "r.json")
    one_sentence(shortened(str(error.value)))


@pytest.mark.parametrize("kind", ["pipe", "folder", "zero", "gone", "loop", "sparse", "absent"])
def test_what_is_no_regular_file_is_refused_at_once(kind, tmp_path):
    path = tmp_path / "r.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "sparse":
        with path.open("wb") as file:
            file.truncate(20 << 30)
    elif kind != "absent":
        path.symlink_to({"zero": "/dev/zero", "gone": "nothing", "loop": path}[kind])
    for read in (
        read_recipe,
        lambda each: read_json(each, "recipe"),
        lambda each: input_digests({"recipe": str(each)}),
    ):
        with pytest.raises(ValueError, match="no (recipe|input) at") as error:
            read(path)
        one_sentence(shortened(str(error.value)))


def test_a_recipe_cannot_ask_for_a_thousand_threads():
    assert MadeWith("2", 1000, "cpu").usable_threads == max(64, os.cpu_count() or 1)
    assert MadeWith("2", 3, "cpu").usable_threads == 3


def test_a_step_in_python_is_checked_too():
    with pytest.raises(ValueError, match="mask_mode is 'add'; allowed: replace and multiply"):
        Step("a beard", mask_mode="add")


# Paths


def test_paths_are_relative_to_the_recipe(picture, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    step = RecipeStep("a beard", mask="mask.png", reference="mask.png")
    recipe(step, inputs=input_digests({"file": "mask.png"})).write(tmp_path / "out/r.json")
    kept = json.loads((tmp_path / "out/r.json").read_text())
    assert kept["steps"][0]["mask"] == kept["steps"][0]["reference"] == "../mask.png" and list(kept["inputs"]) == [
        "../mask.png"
    ]
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = read_recipe("../out/r.json")
    assert again.paths() == {"../mask.png"} and input_digests({"file": "../mask.png"}) == again.inputs
    (tmp_path / "out").rename(tmp_path / "moved")
    assert read_recipe("../moved/r.json").paths() == {"../mask.png"}


def test_paths_of_earlier_recipes_are_those_of_the_working_folder(picture, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out/r.json").write_text(json.dumps(steps(mask="mask.png") | {"inputs": {"mask.png": "0" * 64}}))
    assert read_recipe("out/r.json").paths() == {"mask.png"}


# Names


PLAIN = recipe()
OTHERS = {
    "a strength": recipe(RecipeStep("a beard", strength=0.1)),
    "another strength": recipe(RecipeStep("a beard", strength=0.15)),
    "reversed": recipe(RecipeStep("a beard", strength=-0.1)),
    "auto": recipe(RecipeStep("a beard", strength="auto")),
    "more": recipe(RecipeStep("a beard", more=1)),
    "more and more": recipe(RecipeStep("a beard", more=2)),
    "less": recipe(RecipeStep("a beard", more=-1)),
    "where": recipe(RecipeStep("a beard", where="hair")),
    "threshold": recipe(RecipeStep("a beard", threshold=0.7)),
    "sweep": recipe(sweep=(0.1, 0.2)),
    "shorter sweep": recipe(sweep=(0.1,)),
    "two steps": recipe("a beard", "a big smile"),
    "three steps": recipe("a beard", "a big smile", "lipstick"),
    "two steps, turned": recipe("a big smile", "a beard"),
    "twice": recipe("a beard", "a beard"),
    "capitals": recipe("A beard"),
    "spaces": recipe("a  beard"),
    "a full stop": recipe("a beard."),
    "a hyphen": recipe("a-beard"),
    "Chinese": recipe("胡子"),
    "other Chinese": recipe("金发"),
    "Arabic": recipe("لحية"),
    "emoji": recipe("😀"),
    "other emoji": recipe("😎"),
    "nothing": recipe(" "),
    "path": recipe("../../a beard"),
    "umlaut": recipe("ä beard"),
    "long": recipe("a beard " * 10),
    "longer": recipe("a beard " * 11),
    "override": recipe(overrides=("blending.threshold=0.7",)),
    "another override": recipe(overrides=("blending.threshold=0.75",)),
}


def test_edits_that_differ_have_names_that_differ():
    found = {name: stem_of(each) for name, each in {"plain": PLAIN, **OTHERS}.items()}
    assert len(set(found.values())) == len(found), found
    assert found["plain"] == "seed0003-a-beard"
    names = {name for each in OTHERS.values() for name in picture_names(each, stem_of(each))}
    assert len(names) == sum(len(picture_names(each, stem_of(each))) for each in OTHERS.values())


@pytest.mark.parametrize("name", OTHERS)
def test_a_name_is_a_name_and_the_same_every_time(name):
    stem = stem_of(OTHERS[name])
    assert stem == stem_of(replace(OTHERS[name], results=({"strength": 0.1},), made_with=MadeWith("2", 1, "cpu")))
    assert "/" not in stem and stem.isascii() and len(stem) < 70 and stem.startswith("seed0003-")


def test_files_are_named_by_their_content_and_not_by_their_place(picture, tmp_path):
    other = tmp_path / "copy.png"
    other.write_bytes((tmp_path / "mask.png").read_bytes())
    first, second = (
        recipe(RecipeStep("a beard", mask=str(path)), inputs=input_digests({"file": str(path)}))
        for path in (picture, other)
    )
    assert stem_of(first) == stem_of(second) and first.asked() == second.asked()
    Image.new("L", (32, 32), 7).save(other)
    assert stem_of(first) != stem_of(recipe(second.steps[0], inputs=input_digests({"file": str(other)})))


def test_photos_have_names_by_what_is_asked_of_them():
    def stem(*steps, **asked):
        inputs = {"a/me.png": "1" * 64, "f.png": "2" * 64}
        return stem_of(recipe(*steps, seed=None, inputs=inputs, photo=RecipePhoto("a/me.png", **asked)))

    assert stem("a beard") == "me-a-beard" and stem("a beard", frame=7) == "frame0007-a-beard"
    others = ({"face": 2}, {"face": "all"}, {"quality": "best"}, {"keep_metadata": True}, {"first": "f.png"})
    names = [stem("a beard", **asked) for asked in others]
    assert len(set(names)) == len(others) and all(name.startswith("me-a-beard-") for name in names)
    frames = {stem("a beard", frame=n, first="f.png").removeprefix(f"frame000{n}") for n in range(1, 4)}
    assert len(frames) == 1, "one pattern names all frames"
    made = (RecipeFace(2, RecipeFile("x.safetensors", "3" * 64)),)
    assert stem("a beard", faces=made, steady=made[0].inversion) == "me-a-beard"


def test_slugs_stay_what_they_were():
    assert slug("a beard") == "a-beard" and slug("金发") == "edit" and len(slug("hair " * 99)) <= 40


@pytest.mark.parametrize("name", ["other weights", "another config", "damaged", "a folder", "a broken link", "words"])
def test_another_edit_of_one_name_is_not_overwritten(name, tmp_path):
    path = tmp_path / "seed0003-a-beard.json"
    if name == "other weights":
        replace(PLAIN, weights_sha256="1" * 64).write(path)
    elif name == "another config":
        replace(PLAIN, config=CONFIG | {"name": "mine"}).write(path)
    elif name == "a folder":
        path.mkdir()
    elif name == "a broken link":
        path.symlink_to("nothing")
    else:
        path.write_text({"damaged": "{", "words": "precious"}[name])
    with pytest.raises(ValueError, match="is another edit; give another folder with --out, or --overwrite") as error:
        check_unclaimed(PLAIN, tmp_path)
    one_sentence(shortened(str(error.value)))


def test_the_same_edit_may_be_made_again(tmp_path):
    check_unclaimed(PLAIN, tmp_path)
    made = replace(PLAIN, results=({"strength": 0.1, "sha256": "x"},), made_with=MadeWith("2.0", 9, "cuda:3"))
    made.write(tmp_path / "seed0003-a-beard.json")
    check_unclaimed(PLAIN, tmp_path)
    check_unclaimed(read_recipe(tmp_path / "seed0003-a-beard.json"), tmp_path)


# Replays


HERE = MadeWith.here(torch.device("cpu"))


def made(folder, image, **changes):
    """A recipe with its picture, as an edit leaves them."""
    path = pictures.save_png(image, folder / "seed0003-a-beard-step1.png")
    results = ({"strength": 0.1, "sha256": file_sha256(path)},)
    whole = replace(PLAIN, results=results, made_with=replace(HERE, **changes))
    whole.write(folder / "seed0003-a-beard.json")
    return folder / "seed0003-a-beard.json", whole


@pytest.fixture
def image():
    return torch.rand(3, 20, 20, generator=torch.Generator().manual_seed(0)) * 1.8 - 0.9


def test_the_same_bytes_need_no_words(image, tmp_path):
    path, whole = made(tmp_path, image)
    again = pictures.save_png(image, tmp_path / "again/seed0003-a-beard-step1.png")
    assert Replay(path, whole).differences([again], HERE) == []


def test_other_bytes_are_said_and_by_how_much(image, tmp_path):
    path, whole = made(tmp_path, image, threads=3, torch="1.9")
    changed = image.clone()
    changed[:, 0, :10] += 8 / 127.5
    replay = Replay(path, whole)  # before the replay replaces the picture in the same folder
    said = replay.differences([pictures.save_png(changed, tmp_path / "seed0003-a-beard-step1.png")], HERE)
    assert "2.50% of the pixels differ, by up to 8 of 255 levels" in said[0]
    assert said[1] == f"the recipe was made with torch 1.9, 3 threads, cpu; this is {HERE}"


def test_other_bytes_of_the_same_pixels_are_told_apart(image, tmp_path):
    path, whole = made(tmp_path, image)
    replay = Replay(path, whole)
    Image.open(tmp_path / "seed0003-a-beard-step1.png").save(tmp_path / "other.png", compress_level=0)
    assert "its pixels are the same, in other bytes" in replay.differences([tmp_path / "other.png"], HERE)[0]


@pytest.mark.parametrize("name", ["gone", "damaged"])
def test_a_picture_that_is_lost_is_said(name, image, tmp_path):
    path, whole = made(tmp_path, image)
    picture = tmp_path / "seed0003-a-beard-step1.png"
    picture.unlink() if name == "gone" else picture.write_bytes(b"\x89PNG")
    again = pictures.save_png(-image, tmp_path / "again.png")
    assert "by how much cannot be said" in Replay(path, whole).differences([again], HERE)[0]


def test_a_picture_of_another_size_is_said():
    assert how_much(Image.new("RGB", (3, 4)), Image.new("RGB", (5, 6))) == "it has 5x6 pixels in place of 3x4"


def test_recipes_of_earlier_versions_say_nothing_of_their_bytes(image, tmp_path):
    path, whole = made(tmp_path, image)
    older = replace(whole, results=({"strength": 0.1},), made_with=None)
    again = pictures.save_png(-image, tmp_path / "again.png")
    assert Replay(path, older).differences([again], HERE) == []
