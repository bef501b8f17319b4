"""The table of methods: rows with configs of their own, their trainings, and rows compared at the same rise."""

import json
import time
from dataclasses import replace

import pytest
import torch
import toy_cases
from evaluation_cases import options
from metric_cases import make_networks

from where2edit.commands import row_training
from where2edit.commands import train as runs
from where2edit.commands.row_training import train_missing, trainings
from where2edit.editing.latent_optimisation import LatentOptimiser
from where2edit.editor.build import build_encoder
from where2edit.editor.profile import load_profile
from where2edit.editor.prompt_weights import read_index
from where2edit.evaluation import costs
from where2edit.evaluation import evaluate as evaluation
from where2edit.evaluation.costs import SECONDS, cost_in, timed
from where2edit.evaluation.protocols import Prompt, Protocol, Row, asked_of, load
from where2edit.evaluation.row_profiles import config_file, models_folder, row_profile

CONFIG = """
base: {base}
name: one
blending: {{threshold: 0.0, blur: 1}}
method: {{name: feat, strength: 1.0, options: {{layers: 1, channels: 2}}, mapper: {{name: stylespace}}}}
losses:
  clip_distance: {{weight: 1.0}}
  clip_contrastive: {{weight: 0}}
  region_hinge: {{weight: 0}}
  region_variance: {{weight: 0}}
  style_delta: {{weight: 0}}
  unasked: {{weight: 0}}
training: {{mode: one_prompt, steps: 2, snapshot_every: 1, sheet_every: 100, tensorboard: false, warmup: 0.0}}
"""
PROMPTS = (Prompt("blond hair", ("hair",), "Big_Nose", ("hair",)), Prompt("old", (), "-Smiling"))
METRICS = ("judge_gain", "judge_unasked", "id_arcface")


def table(config, **changes):
    rows = (
        Row("no-op", "no-op", strengths=(1.0,)),
        Row("FEAT", config=str(config), trained=True),
        Row("hair FEAT", config=str(config), trained=True, tag="hair"),
        Row("ours", strengths=(0.1,)),
    )
    base = Protocol(
        "both", "Both", "ours", PROMPTS, rows, METRICS, crossed=True, by_prompt=("judge_gain",), sheet="rows"
    )
    return replace(base, **changes)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "one.yaml"
    path.write_text(CONFIG.format(base=toy_cases.ROOT / "configs/toy.yaml"))
    return path


@pytest.fixture(scope="module")
def toy():
    profile = load_profile("configs/toy.yaml", ["blending.threshold=0.5"])
    torch.manual_seed(0)
    return profile, build_encoder(profile)


@pytest.fixture(scope="module")
def folder(toy, config, tmp_path_factory):
    """A folder of a report with the models of every row that is trained."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "SHEET_SEEDS", (0,))
        train_missing(toy[0], [table(config)], folder, "cpu", 1)
    return folder


def evaluated(toy, folder, *protocols):
    profile, encoder = toy
    networks = make_networks(train_encoder=encoder)
    return evaluation.evaluate(profile, list(protocols), folder, encoder, networks, options(n=2))


def test_a_row_trains_the_prompts_that_it_edits_by_and_each_once(toy, config, folder):
    profile, (_, every, hair, _) = toy[0], table(config).rows
    learnt = [set(read_index(models_folder(folder, row, row_profile(profile, row)))) for row in (every, hair)]
    assert learnt == [{"blond hair", "old"}, {"blond hair"}]
    assert trainings(profile, [table(config)], folder) == []
    more = table(config, prompts=(*PROMPTS, Prompt("bangs", (), None, ("hair",))))
    assert [(each.label, each.prompts) for each in trainings(profile, [more], folder)] == [
        ("FEAT", ("blond hair", "old", "bangs")),
        ("hair FEAT", ("blond hair", "bangs")),
    ]
    longer = replace(every, overrides=("training.steps=3",))
    assert len(trainings(profile, [table(config, rows=(longer,))], folder)) == 1


def test_a_row_without_a_config_is_trained_as_the_profile_with_its_changes(toy, tmp_path, monkeypatch):
    """Table 3's variants: nothing is left out for want of training, whatever the profile."""
    short = ("training.steps=1", "training.sheet_every=100", "training.tensorboard=false")
    change = "method.name=where2edit-no-clusters"
    (variant,) = [row for row in load("3").rows if row.label == "W/O Clus, large λ"]
    assert change in variant.overrides and sum(row.trained for row in load("3").rows) == 3
    row = replace(variant, overrides=variant.overrides + short)
    protocol = Protocol("variants", "Variants", "ours", PROMPTS, (row, Row("ours")), METRICS)
    (one,) = trainings(toy[0], [protocol], tmp_path)
    assert one.prompts == () and one.profile.losses["attention_area"].weight == 3.0
    monkeypatch.setattr(runs, "SHEET_SEEDS", (0,))
    train_missing(toy[0], [protocol], tmp_path, "cpu", 1)
    assert trainings(toy[0], [protocol], tmp_path) == []
    (report,) = evaluated(toy, tmp_path, protocol)
    assert "left out" not in report.read_text() and "| W/O Clus, large λ |" in report.read_text()


def test_groups_of_prompts_do_not_depend_on_what_is_ready(toy, config, folder):
    texts = ("bangs", "a hat", "blond hair", "old", "young", "bald")
    many = table(config, prompts=tuple(Prompt(text, (), None, ("hair",)) for text in texts))
    asked = [each.prompts for each in trainings(toy[0], [many], folder) if each.label == "FEAT"]
    assert asked == [texts[:4], texts[4:]]
    there = table(config, prompts=tuple(Prompt(text, (), None, ("hair",)) for text in (*texts[2:4], *texts[:2])))
    assert [each.prompts for each in trainings(toy[0], [there], folder) if each.label == "FEAT"] == [
        ("blond hair", "old", "bangs", "a hat")
    ]


def test_a_row_on_another_generator_is_not_trained(toy, config, tmp_path):
    other = Row("FEAT", config=str(config), trained=True, overrides=("generator.options.resolution=16",))
    assert trainings(toy[0], [table(config, rows=(other,))], tmp_path) == []


def test_a_training_that_was_stopped_goes_on(toy, config, folder, tmp_path, monkeypatch):
    """The same bytes as in one go, and the seconds of both parts."""
    protocol, profile, row = table(config, prompts=PROMPTS[:1]), toy[0], table(config).rows[1]
    protocol = replace(protocol, rows=protocol.rows[1:2])
    monkeypatch.setattr(runs, "SHEET_SEEDS", (0,))
    step, stop = runs.EditorTrainer.train_step, {"at": 1}

    def stopped(self):
        if self.step == stop["at"]:
            raise KeyboardInterrupt
        return step(self)

    with monkeypatch.context() as patch:
        patch.setattr(runs.EditorTrainer, "train_step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train_missing(profile, [protocol], tmp_path, "cpu", 1)
    models = models_folder(tmp_path, row, row_profile(profile, row))
    (path,) = models.glob(SECONDS)
    before = cost_in(path)
    train_missing(profile, [protocol], tmp_path, "cpu", 1)
    assert before[0] == cost_in(path)[0] == 1 and 0 < before[1] < cost_in(path)[1]
    hair = table(config).rows[2]
    whole = models_folder(folder, hair, row_profile(profile, hair))  # the same prompt alone, in one go
    assert read_index(models) == read_index(whole)


def test_the_seconds_of_a_training_are_kept_while_it_goes_on(tmp_path, monkeypatch):
    """A training that is killed leaves those up to then."""
    monkeypatch.setattr(costs, "EVERY", 0.01)
    with timed(tmp_path, [p.text for p in PROMPTS]):
        began = time.monotonic()
        while not (kept := list(tmp_path.glob(SECONDS))):
            assert time.monotonic() - began < 30
            time.sleep(0.01)
        assert cost_in(kept[0])[0] == 2
    assert cost_in(kept[0])[1] > 0


def test_processes_share_the_trainings(toy, config, tmp_path, monkeypatch):
    done = tmp_path / "done"
    done.mkdir()
    monkeypatch.setattr(
        row_training.Training, "run", lambda self, device: (done / f"{self.label}-{'-'.join(self.prompts)}").touch()
    )
    train_missing(toy[0], [table(config)], tmp_path, "cpu", 2)
    assert sorted(path.name for path in done.iterdir()) == ["FEAT-blond hair-old", "hair FEAT-blond hair"]


def test_torchrun_is_refused_while_a_model_is_missing(toy, config, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(row_training.distributed, "start_processes", lambda device: "cpu")
    monkeypatch.setattr(row_training.distributed, "world", lambda: 2)
    with pytest.raises(ValueError, match="2 trainings come before these tables, in one process; start the same"):
        train_missing(toy[0], [table(config)], tmp_path, "cpu", 2)
    train_missing(toy[0], [table(config)], folder, "cpu", 2)  # all are there


def test_the_report_shows_every_row_and_compares_them_at_the_same_rise(toy, config, folder):
    strengths = table(
        config, name="along", kind="strength", strengths=(0.5, 1.0), matched=0.0, sheet="samples", by_prompt=()
    )
    times = table(config, name="times", kind="time", metrics=("run_time",), sheet="samples", by_prompt=())
    report, cost = evaluated(toy, folder, table(config), strengths, times)
    text = report.read_text()
    by_prompt = text.split("`judge_gain` of every row, prompt by prompt:\n\n")[1].splitlines()
    assert by_prompt[0] == "| row | blond hair | old |"
    assert next(line for line in by_prompt if line.startswith("| hair FEAT |")).endswith("| – |")
    assert "Every row at the strength at which the judge's mean rise is 0" in text
    assert "| hair FEAT | 0 | 0 [0, 0] | 1 [1, 1] |" in text
    assert (folder / "both-sheet.png").is_file() and (folder / "along.png").is_file()
    lines = [json.loads(line) for line in (folder / "figures.jsonl").read_text().splitlines()]
    asked = {(line["row"], line["strength"]) for line in lines if line["protocol"] == "along"}
    feat = {(row, strength) for row in ("FEAT", "hair FEAT") for strength in (0.5, 1.0)}
    assert asked == feat | {("no-op", 1.0), ("ours", 0.1)}
    assert {line["strength"] for line in lines if line["row"] == "FEAT" and line["protocol"] == "both"} == {1.0}
    costs = cost.read_text()
    assert "| FEAT | 2 |" in costs and "| hair FEAT | 1 |" in costs and "| ours | 0 | – | – |" in costs


def test_the_seconds_of_an_edit_hold_the_optimisation_of_its_own_face(toy, tmp_path, monkeypatch):
    """The edit before it, which is not timed, is of another face: answers are kept."""
    asked, optimised = [], LatentOptimiser._optimised

    def counted(self, source, *given):
        asked.append(source.w)
        return optimised(self, source, *given)

    monkeypatch.setattr(LatentOptimiser, "_optimised", counted)
    change = ("method.name=tedigan", "method.options.steps=1", "method.options.lpips=0", "method.weights=null")
    rows = (Row("TediGAN", overrides=change), Row("ours"))
    evaluated(toy, tmp_path, Protocol("t", "T", "ours", PROMPTS[:1], rows, ("run_time",), "time", n=1, crossed=True))
    assert len(asked) == 2 and not torch.equal(*asked)


def test_a_row_that_is_not_trained_is_left_out_with_the_reason(toy, config, tmp_path):
    (report,) = evaluated(toy, tmp_path, table(config))
    assert "Row *FEAT* was left out: it is not trained yet; run scripts/evaluate.py" in report.read_text()


def test_a_config_of_a_method_is_its_own_for_a_profile_that_has_one():
    toy = load_profile("configs/toy.yaml")
    assert config_file(toy, "feat").name == "feat.yaml"
    assert config_file(replace(toy, name="ffhq"), "feat").name == "feat_ffhq.yaml"


def test_a_row_for_prompts_of_a_tag(config):
    assert asked_of(table(config), Row("x", tag="hair")) == PROMPTS[:1]
    for change, message in (
        ({"crossed": False}, "some prompts only; set crossed=true"),
        ({"crossed": False, "rows": (Row("x"),), "matched": 0.2}, "same rise over prompts; set crossed=true"),
        ({"rows": (Row("x", tag="eyes"),)}, "such a tag"),
    ):
        with pytest.raises(ValueError, match=message):
            table(config, **change)
