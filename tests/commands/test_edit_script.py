"""scripts/edit.py: every option once, the same bytes again from a recipe, and one sentence for every mistake."""

import json
import os
import subprocess
import sys
from functools import cache

import pytest
import torch
import toy_cases as toy
from PIL import Image
from safetensors.torch import load_file, save_file

from where2edit.commands import cli
from where2edit.commands import edit as edits
from where2edit.editing.cosine_calibration import measure
from where2edit.editor.build import build_encoder, build_generator
from where2edit.editor.descriptions import split_description
from where2edit.editor.profile import load_profile
from where2edit.editor.recipes import SWEEP, read_recipe
from where2edit.editor.results import slug
from where2edit.editor.steps import Step
from where2edit.files import pictures

CONFIG = str(toy.ROOT / "configs/toy.yaml")


@pytest.fixture
def run(monkeypatch, capsys, editors, weights, tmp_path):
    """Call the script in this process: (exit code, stdout, stderr); writes into the folder `out`."""
    monkeypatch.setattr(edits, "Editor", editors)
    monkeypatch.chdir(tmp_path)

    def call(*arguments, config=CONFIG, weights=weights, out="out"):
        options = ["--out", out, *(["--weights", weights] if weights else [])]
        options += [] if "--replay" in arguments else ["--config", config]
        monkeypatch.setattr(sys, "argv", ["edit.py", *options, *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.run_command(edits.main, "edits a face")
        answer = capsys.readouterr()
        return end.value.code, answer.out, answer.err

    return call


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def recipe(folder, stem):
    return json.loads((folder / f"{stem}.json").read_text())


def pixels(path):
    return pictures.load_image(path)


def test_one_prompt_leaves_picture_sheet_latent_and_recipe(run, editors, weights, tmp_path):
    code, said, _ = run("--prompt", "a beard", "--seed", 3)
    stem, out = "seed0003-a-beard", tmp_path / "out"
    assert code == 0 and sorted(files(out)) == [f"{stem}{end}" for end in END]
    editor = next(iter([editors(load_profile(CONFIG), "cpu", weights)]))
    result = editor.edit(editor.source(3), Step("a beard"))
    as_png = torch.from_numpy(pictures.to_uint8(result.edit.image))[0].permute(2, 0, 1)
    assert torch.equal(((pixels(out / f"{stem}-step1.png")[0] + 1) * 127.5).round().byte(), as_png)
    assert torch.equal(load_file(out / f"{stem}-w.safetensors")["w"], editor.source(3).w[0])
    (entry,) = recipe(out, stem)["results"]
    assert entry["cosine_before"] == pytest.approx(result.before) and entry["certificate"]["leak_max"] == 0
    assert f"a beard: cosine {result.before:.3f} -> {result.after:.3f}" in said and "leak 0" in said
    assert Image.open(out / f"{stem}-sheet.png").width > 4 * 384


END = ("-sheet.png", "-step1.png", "-w.safetensors", ".json")

# A file of `inputs`; the override stands after a prompt and before an option that takes a value.
CALIBRATED = ("natural_strength.calibration=calibration.safetensors",)

# Options, file names of the pictures, and what must be true of the first recipe's first step.
OPTIONS = {
    "several prompts": (["--prompt", "a beard", "--prompt", "a big smile"], ["seed0000-a-beard-", "-step2"], {}),
    "where": (["--prompt", "purple", "--where", "hair"], ["seed0000-purple-"], {"where": "hair"}),
    "reference": (
        ["--reference", "reference.png", "--where", "hair"],
        ["seed0000-hair-"],
        {"reference": "../reference.png", "where": "hair"},
    ),
    "long": (
        ["--long", "She has blond hair, and a big smile."],
        ["seed0000-", "-step2"],
        {},
    ),
    "seeds": (["--prompt", "a beard", "--seeds", "1,4-5"], ["seed0001-", "seed0004-", "seed0005-"], {}),
    "latent": (["--prompt", "a beard", "--latent", "face.safetensors"], ["face-a-beard-step1"], {}),
    "negative": (["--prompt", "a beard", "--strength", "-0.1"], ["seed0000-a-beard-"], {"strength": -0.1}),
    "more": (
        ["--prompt", "a beard", *CALIBRATED, "--more", "--more"],
        ["a-beard-"],
        {"more": 2, "strength": None},
    ),
    "less": (
        ["--prompt", "a beard", *CALIBRATED, "--strength", "auto", "--less"],
        ["a-beard-"],
        {"more": -1, "strength": "auto"},
    ),
    "threshold": (["--prompt", "a beard", "--threshold", "0.85"], ["seed0000-a-beard-"], {"threshold": 0.85}),
    "coverage": (["--prompt", "a beard", "--coverage", "0.6"], ["seed0000-a-beard-"], {"threshold": 0.85}),
    "mask": (["--prompt", "a beard", "--mask", "mask.png"], ["seed0000-a-beard-"], {"mask": "../mask.png"}),
    "multiply": (
        ["--prompt", "a beard", "--mask", "mask.png", "--mask-mode", "multiply", "--coverage", "1"],
        ["seed0000-a-beard-"],
        {"mask_mode": "multiply", "threshold": 0.75},
    ),
    "sweep": (["--prompt", "a beard", "--sweep"], [f"-sweep{i + 1}" for i in range(len(SWEEP))], {}),
    "override": (["--prompt", "a beard", "--seed", "0", "method.strength=0.2"], ["seed0000-a-beard-"], {}),
    "overwrite": (["--prompt", "a beard", "--overwrite"], ["seed0000-a-beard-step1"], {}),
    "force": (["--prompt", "asdf", "--force"], ["seed0000-asdf-"], {"force": True}),
    "dtype": (["--prompt", "a beard", "--dtype", "bfloat16"], ["seed0000-a-beard-"], {}),
    "denial": (["--prompt", "no beard"], ["seed0000-no-beard-step1"], {}),
    "several statements": (["--prompt", "blond hair without bangs"], ["-step1", "-step2"], {}),
    "assert local": (["--prompt", "a beard", "--assert-local"], ["seed0000-a-beard-step1"], {}),
    "full": (
        ["--prompt", "a beard", "--mask", "white.png", "--assert-local", "--allow-full"],
        ["seed0000-a-beard-"],
        {"mask": "../white.png"},
    ),
}


def inputs(folder):
    """A reference picture, a mask and a latent, as a user would bring them."""
    picture = Image.new("RGB", (48, 40), (200, 150, 90))
    picture.save(folder / "reference.png")
    mask = Image.new("L", (32, 32))
    mask.paste(255, (8, 8, 20, 20))
    mask.save(folder / "mask.png")
    Image.new("L", (32, 32), 255).save(folder / "white.png")
    save_file({"w": toy.sources((9,)).w[0, 0].clone()}, folder / "face.safetensors")
    calibration().save(folder / "calibration.safetensors")


@cache
def calibration():
    """The calibration of configs/toy.yaml."""
    profile = load_profile(CONFIG)
    return measure(build_generator(profile), build_encoder(profile), None, 8, 0.7)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_works_and_its_recipe_gives_the_same_bytes(name, run, tmp_path):
    arguments, pictures_, facts = OPTIONS[name]
    inputs(tmp_path)
    code, said, error = run(*arguments)
    assert code == 0, error
    made = files(tmp_path / "out")
    for part in pictures_:
        assert any(part in file and file.endswith(".png") for file in made), (part, list(made))
    recipes = [file for file in made if file.endswith(".json")]
    step = json.loads(made[recipes[0]])["steps"][0]
    assert facts.items() <= step.items()
    for entry in json.loads(made[recipes[0]])["results"]:
        assert entry["certificate"]["leak_max"] == 0 and entry["certificate"]["halo"] == 3
    code, _, error = run("--replay", f"out/{recipes[0]}", out="again")
    assert code == 0, error
    again = files(tmp_path / "again")
    assert again and all(made[file] == data for file, data in again.items())
    assert len(again) == len(made) / len(recipes)


def test_every_option_of_the_script_is_covered():
    offered = {text for action in edits.build_parser("")._actions for text in action.option_strings} - {"-h", "--help"}
    used = {word for arguments, _, _ in OPTIONS.values() for word in arguments if str(word).startswith("--")}
    used |= OF_PHOTOS  # tests/commands/test_edit_photo.py
    assert offered - used == {"--replay", "--seed", "--config", "--weights", "--device", "--out"} - used


def test_a_long_description_is_applied_large_areas_first(run, editors, weights, tmp_path):
    run("--long", "a big smile, eyeglasses and blond hair", "--seed", 1)
    (path,) = (tmp_path / "out").glob("*.json")
    editor = editors(load_profile(CONFIG), "cpu", weights)
    source = editor.source(1)
    prompts = ["big smile", "eyeglasses", "blond hair"]
    area = {prompt: editor.edit(source, Step(prompt)).edit.mask.mean().item() for prompt in prompts}
    assert [step.prompt for step in read_recipe(path).steps] == sorted(prompts, key=lambda prompt: -area[prompt])


@pytest.mark.parametrize(
    "text, attributes",
    [
        ("She has blond hair, and is wearing eyeglasses.", ["blond hair", "eyeglasses"]),
        ("a man", ["a man"]),
        ("This person is young; with a big nose and red lips", ["young", "big nose", "red lips"]),
        ("sandy hair", ["sandy hair"]),
    ],
)
def test_a_description_is_split_into_attributes(text, attributes):
    assert split_description(text) == attributes


def test_a_leak_is_an_error_only_when_that_is_asked_for(run, editors, weights, monkeypatch, tmp_path):
    inputs(tmp_path)
    editor = editors(load_profile(CONFIG), "cpu", weights)
    monkeypatch.setattr(editor, "halo", 0)  # a certificate that promises more than the generator can keep
    code, said, _ = run("--prompt", "a beard", "--mask", "mask.png", "--assert-local")
    assert code == 1 and "leak 0\n" not in said
    assert run("--prompt", "a beard", "--mask", "mask.png")[0] == 0


def test_words_that_are_not_understood_and_masks_that_are_empty_are_said_so(run):
    said = run("--prompt", "a beard", "--threshold", "1")[1]
    assert "nothing was edited: the attention found no region" in said
    said = run("--prompt", "blond hair", "--seed", "1")[1]
    assert "the encoder sees no gain: it may not understand these words" in said
    said = run("--prompt", "blond hair", "--seed", "1", "--strength", "0")[1]
    assert "strength 0 leaves everything as it is" in said and "may not understand" not in said


OF_PHOTOS = {"--photo", "--face", "--quality", "--keep-metadata", "--steady"}
LONG = "hair " * 500
MISTAKES = {
    "nothing": ([], "say what should change"),
    "empty prompt": (["--prompt", ""], "an empty prompt says nothing"),
    "500 words": (["--prompt", LONG], "a prompt has 500 words, at most 60 are read; use --long to split it"),
    "empty where": (["--prompt", "a beard", "--where", ""], "an empty prompt says nothing"),
    "strength nan": (["--prompt", "a beard", "--strength", "nan"], "--strength is nan; allowed: -1 to 1 or auto"),
    "auto": (["--prompt", "a beard", "--strength", "auto"], "strength auto needs a calibration, which profile 'toy'"),
    "more": (
        ["--prompt", "a beard", "--more"],
        "more and less are steps from the natural strength, but strength is 0.1",
    ),
    "more, number": (["--prompt", "a", "--more", "--strength", "0.1"], "--more is a step from the natural strength"),
    "more, less": (["--prompt", "a", "--more", "--less"], "--more and --less exclude each other"),
    "sweep, less": (["--prompt", "a", "--sweep", "--less"], "leave out --strength, --more and --less"),
    "replay, more": (["--replay", "x.json", "--more"], "leave out more"),
    "strength 7": (["--prompt", "a beard", "--strength", "7"], "strength is 7.0"),
    "threshold": (["--prompt", "a beard", "--threshold", "2"], "threshold is 2.0; allowed: 0 to 1"),
    "coverage": (["--prompt", "a beard", "--coverage", "nan"], "--coverage is nan; allowed: 0 to 1"),
    "both": (["--prompt", "a beard", "--coverage", "1", "--threshold", "1"], "--coverage and --threshold say the same"),
    "reference": (["--prompt", "a beard", "--reference", "text.png"], "text.png cannot be read as a reference picture"),
    "no reference": (
        ["--prompt", "a beard", "--reference", "absent.png"],
        "no reference picture at absent.png; give the path",
    ),
    "mask": (["--prompt", "a beard", "--mask", "text.png"], "text.png cannot be read as a mask"),
    "mask size": (["--prompt", "a beard", "--mask", "reference.png"], "is 48x40 px; it must have the output's size"),
    "multiply": (["--prompt", "a beard", "--mask-mode", "multiply"], "give one with --mask"),
    "allow full": (["--prompt", "a beard", "--allow-full"], "--allow-full is for --assert-local"),
    "mask, where": (["--prompt", "a", "--mask", "mask.png", "--where", "hair"], "--mask alone says where to edit"),
    "seed": (["--prompt", "a beard", "--seed", "-1"], "--seed is -1; allowed: 0 to 4,294,967,295"),
    "seeds": (["--prompt", "a beard", "--seeds", "1-a"], "seeds '1-a' are not understood"),
    "empty seeds": (["--prompt", "a beard", "--seeds", ""], "seeds '' are not understood"),
    "two sources": (["--prompt", "a beard", "--seed", "0", "--seeds", "1"], "give one of --seed, --seeds and --latent"),
    "no latent": (
        ["--prompt", "a beard", "--latent", "absent.safetensors"],
        "no latent at absent.safetensors; give the path",
    ),
    "text as latent": (["--prompt", "a beard", "--latent", "text.png"], "text.png is not a safetensors file"),
    "latent name": (["--prompt", "a beard", "--latent", "z.safetensors"], "must hold one tensor 'w' of"),
    "latent shape": (["--prompt", "a beard", "--latent", "short.safetensors"], "w must be [B,8,512]"),
    "latent nan": (["--prompt", "a beard", "--latent", "nan.safetensors"], "holds values that are not finite"),
    "long, prompt": (["--long", "a beard", "--prompt", "a beard"], "--long and --prompt exclude each other"),
    "empty long": (["--long", " , . "], "no attribute is left of the description"),
    "sweep of two": (["--prompt", "a", "--prompt", "b", "--sweep"], "--sweep shows the strengths of one prompt, got 2"),
    "sweep, strength": (["--prompt", "a", "--sweep", "--strength", "0"], "--sweep goes through strengths of its own"),
    "key": (["--prompt", "a beard", "--seed", "0", "method.strenth=1"], "unknown key 'method.strenth'; did you mean"),
    "value": (["--prompt", "a beard", "--seed", "0", "method.strength=much"], "method.strength must be float, got str"),
    "no recipe": (["--replay", "absent.json"], "no recipe at absent.json"),
    "no JSON": (["--replay", "text.png"], "text.png is not a recipe: it is no JSON"),
    "other JSON": (["--replay", "other.json"], "other.json is not an edit recipe (unknown key 'recipe.hello'"),
    "replay, prompt": (["--replay", "x.json", "--prompt", "a"], "everything from the recipe; leave out prompt"),
    "replay, seed 0": (["--replay", "x.json", "--seed", "0"], "leave out seed"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence_and_nothing_is_overwritten(name, run, tmp_path):
    arguments, sentence = MISTAKES[name]
    inputs(tmp_path)
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "other.json").write_text('{"hello": 1}')
    save_file({"z": torch.zeros(512)}, tmp_path / "z.safetensors")
    save_file({"w": torch.zeros(100)}, tmp_path / "short.safetensors")
    save_file({"w": torch.full((512,), float("nan"))}, tmp_path / "nan.safetensors")
    (tmp_path / "out").mkdir()
    for stem in ("seed0000-a-beard", "face-a-beard", "seed0000-edit"):
        for end in END:
            (tmp_path / "out" / f"{stem}{end}").write_text("precious")
    before = files(tmp_path / "out")
    code, said, error = run(*arguments)
    assert code == 2 and sentence in error and said == ""
    lines = [line for line in error.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("error: ") and "Traceback" not in error
    assert files(tmp_path / "out") == before


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"weights": "absent.safetensors"}, "no weights at absent.safetensors: neither a file nor an asset"),
        ({"weights": "text.png"}, "text.png is not a safetensors file"),
        ({"weights": "face.safetensors"}, "face.safetensors does not fit this config"),
        ({"config": "absent.yaml"}, "absent.yaml; did you mean 'extra.yaml'?"),
        ({"config": "text.png"}, "text.png"),
        ({"config": "extra.yaml"}, "unknown key 'colour'"),
        ({"out": "text.png"}, "the folder text.png is not writable"),
        ({"out": "text.png/below"}, "the folder text.png/below is not writable"),
    ],
)
def test_a_wrong_file_is_one_sentence(options, sentence, run, tmp_path):
    inputs(tmp_path)
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "extra.yaml").write_text(f"base: {CONFIG}\ncolour: red\n")
    before = files(tmp_path)
    code, said, error = run("--prompt", "a beard", **options)
    assert code == 2 and sentence in error and len(error.strip().splitlines()) == 1 and said == ""
    after = {name: data for name, data in before.items()}
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == after


@pytest.mark.parametrize("fast", [False, True])
def test_a_recipe_says_in_which_numbers_it_was_computed(run, tmp_path, monkeypatch, fast):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": fast})
    made = {}
    for dtype in ("float32", "bfloat16", "auto"):
        assert run("--prompt", "a beard", "--dtype", dtype)[0] == 0
        (path,) = (set((tmp_path / "out").glob("*.json"))) - {path for path, _ in made.values()}
        made[dtype] = path, path.with_name(f"{path.stem}-step1.png").read_bytes()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": not fast})  # another machine
    for dtype, (path, picture) in made.items():
        written = {"auto": "bfloat16" if fast else "float32"}.get(dtype, dtype)
        assert json.loads(path.read_text())["config"]["generator"]["dtype"] == written
        assert picture == made[written][1] and (picture != made["float32"][1]) == (written == "bfloat16")
        code, _, warned = run("--replay", path, out="again")
        assert code == 0 and not warned, "the same bytes"
        assert (tmp_path / "again" / f"{path.stem}-step1.png").read_bytes() == picture
    assert run("--replay", path, "--dtype", "float32")[2] == (
        "error: --replay reads everything from the recipe; leave out dtype\n"
    )


def test_a_replay_needs_the_weights_and_pictures_that_made_the_recipe(run, tmp_path):
    inputs(tmp_path)
    run("--prompt", "a beard", "--mask", "mask.png")
    (path,) = (tmp_path / "out").glob("seed0000-a-beard-*.json")
    assert "here are none; give the right file with --weights" in run("--replay", path, weights=None, out="again")[2]
    Image.new("L", (32, 32)).save(tmp_path / "mask.png")
    code, _, error = run("--replay", path, out="again")
    assert code == 2 and "mask.png has changed since the recipe was made; put the old file back" in error
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"steps": []}, "one step or more"),
        ({"seed": None}, "either a seed or a latent"),
        ({"steps": [{"prompt": 3}]}, "prompt must be str"),
        ({"steps": "all"}, "steps must be a list"),
        ({"config": {"name": "x", "generater": {}}}, "unknown key 'generater'"),
    ],
)
def test_a_recipe_that_was_damaged_is_refused(change, sentence, run, tmp_path):
    run("--prompt", "a beard")
    path = tmp_path / "out/seed0000-a-beard.json"
    path.write_text(json.dumps(recipe(tmp_path / "out", "seed0000-a-beard") | change))
    code, _, error = run("--replay", path, out="again")
    assert code == 2 and sentence in error and len(error.strip().splitlines()) == 1


def test_slugs_are_file_names():
    assert slug("A big  smile!") == "a-big-smile" and slug("../../etc") == "etc" and slug("微笑") == "edit"
    assert len(slug("hair " * 40)) <= 40


def test_the_script_as_users_start_it(weights, tmp_path):
    """One process of its own: the exit code, one sentence on stderr, and nothing else."""
    command = [sys.executable, toy.ROOT / "scripts/edit.py", "--config", CONFIG, "--weights", weights, "--out", "out"]
    answer = subprocess.run(
        [*command, "--prompt", "a beard", "--strength", "nan"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "error: --strength is nan; allowed: -1 to 1 or auto\n"
