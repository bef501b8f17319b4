"""Methods that learn one prompt: a model for each prompt in one folder, trained side by side, found by the prompt."""

import json
import re
import shutil

import pytest
import torch
import toy_cases as toy
from safetensors.torch import load_file

from where2edit.commands import train as runs
from where2edit.commands.edit_sentences import sentence
from where2edit.core.registry import NoOptions
from where2edit.editor import build
from where2edit.editor.build import build_frozen, build_method
from where2edit.editor.editor import Editor
from where2edit.editor.profile import load_profile
from where2edit.editor.prompt_weights import add_to_index, model_file, model_files, read_index
from where2edit.editor.results import describe
from where2edit.editor.steps import Step
from where2edit.editor.weights import find_weights
from where2edit.evaluation.networks import MetricNetworks
from where2edit.evaluation.options import EvaluationOptions
from where2edit.evaluation.protocols import Row
from where2edit.evaluation.rows import RowBuilder
from where2edit.evaluation.samples import SamplingPlan
from where2edit.files import tensorfile
from where2edit.methods import METHODS
from where2edit.methods.base import Method
from where2edit.methods.prompt_models import PromptModels, plain

CONFIG = """
base: {base}
name: one
generator: {{options: {{resolution: 8}}, blend_site: 8.conv1}}
blending: {{threshold: 0.0, blur: 1}}
method: {{name: feat, strength: 1.0, options: {{layers: 1, channels: 2}}, mapper: {{name: stylespace}}}}
losses:
  clip_distance: {{weight: 1.0}}
  attention_area: {{weight: 0.1}}
  clip_contrastive: {{weight: 0}}
  region_hinge: {{weight: 0}}
  region_variance: {{weight: 0}}
  style_delta: {{weight: 0}}
  unasked: {{weight: 0}}
training: {{mode: one_prompt, steps: 2, snapshot_every: 100, sheet_every: 100, tensorboard: false, warmup: 0.0}}
"""
PROMPTS = ("A  beard", "bangs")


@pytest.fixture(scope="module", autouse=True)
def one_generator():
    """Every command and editor has the same generator of 8 px."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "build_generator", lambda *asked: toy.generator(8))
        patch.setattr(runs, "SHEET_SEEDS", (0,))
        yield


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "one.yaml"
    path.write_text(CONFIG.format(base=toy.ROOT / "configs/toy.yaml"))
    return path


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    """A folder with the models of two prompts, trained by one command, and what the command said."""
    out = tmp_path_factory.mktemp("models")
    return out, runs.train(load_profile(config), out, "cpu", prompts=PROMPTS)


@pytest.fixture(scope="module")
def editor(config, trained):
    return Editor.load(config, device="cpu", weights=str(trained[0]))


def models(out):
    return {prompt: load_file(file) for prompt, file in model_files(out / "index.json").items()}


def test_the_index_says_of_each_prompt_its_file_sha256_config_and_steps(config, trained):
    out, said = trained
    index = json.loads((out / "index.json").read_text())
    assert list(index) == ["a beard", "bangs"] and f"edit with --weights {out}" in said
    for prompt, entry in index.items():
        assert entry["file"] == model_file(prompt) and entry["steps"] == 2
        assert entry["config"] == load_profile(config).training_digest and len(entry["sha256"]) == 64
        metadata = tensorfile.read_metadata(out / entry["file"], "editor")
        assert metadata["prompt"] == prompt
    [run] = out.glob("run-*")
    assert {"config.yaml", "state.safetensors", "train.jsonl", "sheet-000002.png"} <= {p.name for p in run.iterdir()}
    first, second = models(out).values()
    assert any(not torch.equal(first[name], second[name]) for name in first), "each prompt has weights of its own"


def test_the_same_command_has_nothing_left_to_do_and_another_config_is_refused(config, trained, monkeypatch):
    out, before = trained[0], models(trained[0])
    monkeypatch.setattr(runs, "finished_run", lambda *asked: pytest.fail("a model is trained again"))
    assert "has a model of every prompt already" in runs.train(
        load_profile(config), out, "cpu", prompts=("bangs", "a beard")
    )
    with pytest.raises(ValueError, match="has a model of 'bangs' that was trained with another config; choose another"):
        runs.train(load_profile(config, ["training.lr=0.004"]), out, "cpu", prompts=("bangs",))
    assert all(torch.equal(value, models(out)[p][name]) for p, each in before.items() for name, value in each.items())


def test_a_run_that_was_killed_before_its_index_was_written_is_published_again(config, trained, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(trained[0], out)
    (out / "index.json").unlink()
    (out / model_file("bangs")).unlink()
    runs.train(load_profile(config), out, "cpu", prompts=("bangs", "A beard"))
    for name in ("index.json", model_file("bangs"), model_file("a beard")):
        assert (out / name).read_bytes() == (trained[0] / name).read_bytes()


def test_side_by_side_is_one_by_one_and_a_folder_takes_more_prompts(config, trained, tmp_path):
    """A model does not depend on its company but for rounding; what is trained later joins the index."""
    runs.train(load_profile(config, ["training.steps=1"]), tmp_path, "cpu", prompts=("bangs",))
    assert list(read_index(tmp_path)) == ["bangs"] and read_index(tmp_path)["bangs"].steps == 1
    runs.train(load_profile(config), tmp_path, "cpu", prompts=("bangs",))  # goes on: more steps are asked for
    alone, together = models(tmp_path)["bangs"], models(trained[0])["bangs"]
    assert all(torch.allclose(alone[name], together[name], atol=5e-3) for name in alone)
    add_to_index(tmp_path, {"A BEARD": read_index(trained[0])["a beard"]})
    assert list(read_index(tmp_path)) == ["a beard", "bangs"]


@pytest.mark.parametrize(
    "overrides, prompts, message",
    [
        ([], (), "'feat' learns a model for each prompt; give one or more, as in --prompt 'a beard'"),
        ([], ("a beard", "A BEARD"), "a prompt is given twice"),
        ([], ("no beard",), "'no beard' denies something; train what it denies"),
        (["training.mode=many_prompts"], ("a beard",), "'feat' learns one prompt; set training.mode=one_prompt"),
        (["method.name=where2edit"], ("a beard",), "'where2edit' learns many prompts; set training.mode=many_prompts"),
        (
            ["method.name=where2edit", "training.mode=many_prompts"],
            ("a beard",),
            "'where2edit' draws its prompts from data.captions; leave out --prompt",
        ),
        (["losses.clip_contrastive.weight=1"], ("a beard", "bangs"), "exactly zero; use at least 2 prompts"),
        (["training.mode=some"], ("a beard",), "training.mode is 'some'; .*Known: many_prompts, one_prompt"),
    ],
)
def test_what_cannot_train_is_one_sentence(overrides, prompts, message, config, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        runs.train(load_profile(config, overrides), tmp_path / "out", "cpu", prompts=prompts)
    assert len(str(error.value)) <= 300 and "\n" not in str(error.value)
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_a_row_of_a_table_finds_its_models_by_their_prompts(config, trained, editor):
    profile = load_profile(config, [f"method.weights={trained[0]}"])
    networks = MetricNetworks({"train_encoder": editor.encoder}, "cpu")
    row = RowBuilder(profile, editor.frozen, networks, EvaluationOptions()).row(Row("ours"), SamplingPlan(1))
    assert isinstance(row.method, PromptModels) and row.method.prompts == ("a beard", "bangs")
    assert not any(p.requires_grad for p in row.method.parameters())


def test_an_edit_is_that_of_the_model_of_its_prompt(config, trained, editor):
    source = editor.source(seed=1)
    profile = load_profile(config)
    frozen = build_frozen(profile, editor.encoder)
    for prompt in ("a beard", "Bangs"):
        result = editor.edit(source, Step(prompt))
        own = build_method(profile, frozen, str(trained[0] / model_file(prompt))).eval()
        with torch.no_grad():
            edit = own(source, editor.condition(Step(prompt)))
        assert torch.equal(result.image, edit.image) and result.strength == 1.0
    reversed_edit = editor.edit(source, Step("no beard"))
    assert reversed_edit.strength == -1.0 and reversed_edit.edit.certificate[0].promised


def test_a_batch_of_prompts_is_edited_each_by_its_model(editor):
    method, source = editor.method, editor.source(seed=1)
    sources = source.take(torch.tensor([0, 0]))
    strength = torch.tensor([[1.0], [0.5], [1.0], [0.0]])
    condition = editor.conditions.of(["a beard", "bangs", "bangs", "a beard"], strength, per_source=2)
    with torch.no_grad():
        edits = method.propose(sources, condition)
        for row, prompt in enumerate(condition.prompts):
            alone = method.model(prompt).propose(source, condition.take([row]))
            assert torch.allclose(edits.mask[row], alone.mask[0], atol=1e-5)
            assert all(torch.allclose(u[row], alone.styles[name][0], atol=1e-4) for name, u in edits.styles.items())


@pytest.mark.parametrize("asked", ["beards", "a bear", "bang", "an old person"])
def test_a_prompt_that_was_never_trained_names_the_nearest_and_edits_nothing(asked, editor):
    with pytest.raises(ValueError) as error:
        editor.edit(editor.source(seed=1), Step(asked))
    nearest = "a beard" if "bear" in asked else "bangs"
    if asked != "an old person":
        assert f"no model has learnt {asked!r}; the nearest prompt is '{nearest}'" in str(error.value)
    assert "scripts/train.py --prompt" in str(error.value) and len(str(error.value)) <= 300


def test_a_second_prompt_and_a_reference_picture_have_nothing_to_say(editor):
    for step in (Step("bangs", where="a beard"), Step("bangs", reference=torch.zeros(1, 3, 8, 8))):
        with pytest.raises(ValueError, match="learns what to edit and where from one prompt; leave out --where"):
            editor.condition(step)


def many(count):
    names = [f"prompt number {number} of many" for number in range(count)]
    return PromptModels(dict.fromkeys(names, toy.method("no-op")))


@pytest.mark.parametrize("count", [1, 6, 500])
def test_the_sentence_on_an_unknown_prompt_is_short_however_many_there_are(count):
    with pytest.raises(ValueError) as error:
        many(count).model("x" * 400)
    assert len(re.sub(r"'x+.*?'", "''", str(error.value))) <= 300 and ("in all" in str(error.value)) == (count > 6)


@pytest.mark.parametrize(
    "content, message",
    [
        ("[]", "is no index of trained prompts"),
        ("{", "is not a index of trained prompts|is no JSON"),
        ('{"a": {"file": "../x", "sha256": "", "config": "", "steps": 1}}', "not a path"),
        ('{"a": {"file": "x"}}', "lacks sha256, config, steps"),
        ('{"a": {"file": "x", "sha256": "0", "config": "", "steps": 1}}', "is missing or has changed since"),
    ],
)
def test_a_broken_index_is_one_sentence(content, message, tmp_path):
    (tmp_path / "index.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        model_files(find_weights(str(tmp_path)))


def test_a_model_that_was_changed_or_names_no_prompt_is_refused(trained, tmp_path):
    entry = read_index(trained[0])["bangs"]
    (tmp_path / entry.file).write_bytes((trained[0] / entry.file).read_bytes() + b"x")
    add_to_index(tmp_path, {"bangs": entry})
    with pytest.raises(ValueError, match="the model of 'bangs', is missing or has changed since it was trained"):
        model_files(tmp_path / "index.json")
    path = tensorfile.write(tmp_path / "other.safetensors", {}, "editor", {})
    with pytest.raises(ValueError, match="does not say its 'prompt'"):
        model_files(path)


def test_names_of_files_tell_all_prompts_apart():
    prompts = ["a beard", "a-beard", "胡子", "眼镜", "x" * 300]
    files = {model_file(prompt) for prompt in prompts}
    assert len(files) == len(prompts) and all(len(name) < 80 and name.isascii() for name in files)
    assert plain(" A  Beard ") == "a beard" and model_file("A BEARD") == model_file("a beard")


@pytest.mark.parametrize("leaky", [False, True])
def test_certificate_recipe_and_printed_line_say_where_a_method_is_not_local(leaky, config):
    made = Editor.load(config, [f"method.options.leaky={leaky}", "method.options.scale=1"], device="cpu")
    corner = torch.zeros(1, 1, 8, 8)
    corner[..., :2, :2] = 1
    result = made.edit(made.source(seed=1), Step("bangs", mask=corner))
    certificate = result.edit.certificate[0]
    assert certificate.promised == certificate.local != leaky and (certificate.leak_max > 0.01) == leaky
    assert describe(result)["certificate"]["promised"] != leaky
    assert ("(this method is not local: it promises nothing outside of the mask)" in sentence(result)) == leaky


def test_a_method_that_learns_nothing_makes_what_it_needs_when_an_editor_is_built(config, monkeypatch):
    """Such a method is registered like any other; its own options, and what it precomputes, are its own affair."""
    asked = []

    class Learnt(METHODS.get("no-op")):
        def precompute(self, encoder):
            asked.append(encoder)

    monkeypatch.setitem(METHODS._factories, "learnt-nothing", Learnt)
    monkeypatch.setitem(METHODS._options, "learnt-nothing", NoOptions)
    made = Editor.load(config, ["method.name=learnt-nothing"], device="cpu")
    assert asked == [made.encoder] and isinstance(made.method, Method)
    with pytest.raises(ValueError, match="unknown key 'method.options.beta'"):
        load_profile(config, ["method.name=learnt-nothing", "method.options.beta=1"])
