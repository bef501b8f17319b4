"""The training loop: resumed, or spread over processes or passes, it is the same run; what goes wrong is said."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
import toy_cases as toy
from safetensors.torch import load_file
from survival_cases import free_port, one_thread
from torch.multiprocessing import start_processes

from where2edit.commands import train as runs
from where2edit.core import distributed
from where2edit.editor import build
from where2edit.editor.build import build_frozen, build_method
from where2edit.editor.profile import load_profile
from where2edit.files.fingerprints import config_digest
from where2edit.training.losses.base import LossConfig, build_loss
from where2edit.training.run_log import RunLog
from where2edit.training.state import STATE
from where2edit.training.trainer import EditorTrainer, TrainingConfig, early_warnings, learning_rate

ROOT = Path(__file__).resolve().parents[2]
SMALL = TrainingConfig(steps=8, prompts=2, lr=0.01, snapshot_every=2, tensorboard=False)
LOSSES = {
    "clip_contrastive": LossConfig(1.0, options={"temperature": 0.1, "relative": True, "direct": 2.0, "views": 2}),
    "region_hinge": LossConfig(0.08, (0.15, 0.25)),
    "region_variance": LossConfig(0.24, (0.15, 0.25)),
    "style_delta": LossConfig(0.1),
}


def trainer(folder, config=SMALL, losses=LOSSES, fingerprint="one", noise=True, name="where2edit", strength=0.1):
    """A run on 8 px, where a step takes a twentieth of a second."""
    attention = toy.attention(inputs="all", noise=noise)
    method = toy.method(name, resolution=8, attending=attention, blur=3)
    built = {each: (entry, build_loss(each, entry, toy.encoder())) for each, entry in losses.items()}
    return EditorTrainer(config, method, toy.sampler(), built, folder, strength, fingerprint)


def weights(run):
    return {name: p.detach().clone() for name, p in run.method.named_parameters()}


def log(folder):
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Killed(Exception):
    pass


def killed_at(run, step):
    """Run until the process dies in the middle of `step`: after the optimizer has moved, before anything is written."""
    whole = run.train_step

    def dying():
        values = whole()
        if run.step == step:
            raise Killed
        return values

    run.train_step = dying
    with pytest.raises(Killed):
        run.run()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run = trainer(folder)
    run.run()
    return weights(run), (folder / "train.jsonl").read_bytes(), load_file(folder / "state.safetensors")


@pytest.mark.parametrize("steps", [(1,), (3,), (6, 7)], ids=str)
def test_a_run_that_was_killed_goes_on_as_if_nothing_had_been(steps, uninterrupted, tmp_path):
    """Step 3 dies after a snapshot that was written while the attention was frozen; 6 and 7 die one after the other."""
    for step in steps:
        killed_at(trainer(tmp_path), step)
    run = trainer(tmp_path)
    run.run()
    expected, lines, state = uninterrupted
    assert same(weights(run), expected)
    assert (tmp_path / "train.jsonl").read_bytes() == lines
    assert [line["step"] for line in log(tmp_path)] == [*range(1, 9)]
    assert same(load_file(tmp_path / "state.safetensors"), state)


def test_a_finished_run_is_left_as_it_is(uninterrupted, tmp_path):
    trainer(tmp_path).run()
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    run = trainer(tmp_path)
    run.run()
    assert run.step == 8 and same(weights(run), uninterrupted[0])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_training_changes_every_weight_and_lowers_the_loss(tmp_path):
    losses = {"clip_contrastive": LossConfig(1.0, options={"temperature": 0.1, "relative": True})}
    run = trainer(tmp_path, replace(SMALL, steps=20, snapshot_every=20, lr=0.03), losses, strength=1.0)
    before = weights(run)
    run.run()
    assert not [name for name, value in weights(run).items() if torch.equal(value, before[name])]
    totals = [line["total"] for line in log(tmp_path)]
    assert sum(totals[-5:]) < 0.7 * sum(totals[:5])


def test_another_config_is_refused_and_nothing_is_touched(tmp_path):
    trainer(tmp_path, replace(SMALL, steps=2)).run()
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=r"belongs to another config \(one, not two\); use another --out"):
        trainer(tmp_path, fingerprint="two").run()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_a_broken_snapshot_is_named(tmp_path):
    (tmp_path / "state.safetensors").write_bytes(b"not a snapshot")
    with pytest.raises(ValueError, match="state.safetensors is not a safetensors file .*; delete it to start over"):
        trainer(tmp_path).run()


def test_the_log_is_cut_back_to_the_snapshot(tmp_path):
    lines = [json.dumps({"step": step}) + "\n" for step in range(1, 8)]
    (tmp_path / "train.jsonl").write_text("".join(lines) + '{"step": 8, "tot')
    log_ = RunLog(tmp_path, 5, tensorboard=False)
    log_.write(6, {"total": 1.5})
    assert log(tmp_path) == [*({"step": step} for step in range(1, 6)), {"step": 6, "total": 1.5}]


def test_accumulation_equals_one_larger_batch(tmp_path):
    config = replace(SMALL, steps=4, sources=4, warmup=0.0)
    losses = LOSSES | {"clip_contrastive": LossConfig(1.0, options={"temperature": 0.1, "views": 0})}
    found = {}
    for passes in (1, 2, 4):
        run = trainer(tmp_path / str(passes), replace(config, accumulate=passes), losses, noise=False)
        run.train_step()
        found[passes] = {name: p.grad.clone() for name, p in run.method.named_parameters() if p.grad is not None}
    for passes in (2, 4):
        for name, grad in found[1].items():
            assert torch.allclose(found[passes][name], grad, rtol=1e-4, atol=1e-6), (passes, name)
    with pytest.raises(ValueError, match="sources=4 cannot be spread over training.accumulate=3 passes"):
        replace(config, accumulate=3)


PARALLEL = replace(SMALL, steps=20, prompts=4, snapshot_every=20)


def one_of_many(rank, world, folder, port):
    """What each process of a group does: train in float64, and save its weights."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=world)
    run = trainer(Path(folder), PARALLEL, noise=False, strength=1.0)
    run.run()
    torch.save(weights(run), Path(folder) / f"weights{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_with_half_of_the_prompts_each_are_one_with_all(tmp_path):
    """In float64: Adam turns the rounding of smaller batches into steps of its own, on some processors beyond 1e-5."""
    found = []
    for world in (1, 2):
        folder = tmp_path / str(world)
        folder.mkdir()
        with one_thread():
            start_processes(one_of_many, (world, str(folder), free_port()), nprocs=world, start_method="forkserver")
        found += [torch.load(folder / f"weights{rank}.pt", weights_only=True) for rank in range(world)]
    alone, first, second = found
    assert same(first, second), "the processes have drifted apart"
    for name, value in alone.items():
        assert torch.allclose(first[name], value, rtol=0, atol=1e-5), (name, (first[name] - value).abs().max())
    for a, b in zip(log(tmp_path / "1"), log(tmp_path / "2"), strict=True):
        assert a == pytest.approx(b, abs=1e-4), "the log of many processes is that of all of them"


def test_prompts_that_cannot_be_shared_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "world", lambda: 3)
    with pytest.raises(ValueError, match="prompts=4 cannot be shared by 3 processes; make it a multiple"):
        trainer(tmp_path, replace(SMALL, prompts=4))


def test_each_process_takes_its_own_share_of_the_prompts_and_the_same_sources(tmp_path, monkeypatch):
    run = trainer(tmp_path, replace(SMALL, prompts=4, sources=2))
    ((source, whole),) = run.batches()
    monkeypatch.setattr(distributed, "world", lambda: 2)
    shares = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        ((other, share),) = run.batches()
        assert torch.equal(source.w, other.w) and share.per_source == 2
        shares.append(share.prompts)
    rows = [whole.prompts[i : i + 4] for i in (0, 4)]
    assert shares == [tuple(p for row in rows for p in row[:2]), tuple(p for row in rows for p in row[2:])]


def test_learning_rate_warms_up_stays_and_decays():
    config = TrainingConfig(steps=1000, lr=0.02, warmup=0.05, decay=0.25)
    rates = [learning_rate(config, step) for step in range(1001)]
    assert rates[0] == 0 and rates[25] == pytest.approx(0.01) and rates[50] == pytest.approx(0.02)
    assert all(rate == pytest.approx(0.02) for rate in rates[50:751])
    assert rates[875] == pytest.approx(0.01) and rates[1000] == pytest.approx(0)
    assert rates[812] == pytest.approx(0.02 * (0.5 - 0.5 * math.cos(math.pi * 188 / 250)))
    assert learning_rate(replace(config, warmup=0.0, decay=0.0), 0) == 0.02


def test_the_optimizer_follows_the_schedule_and_the_ramps(tmp_path, monkeypatch):
    rates, totals = [], []
    run = trainer(tmp_path, SMALL)
    monkeypatch.setattr(run.optimizer, "step", lambda: rates.append(run.optimizer.param_groups[0]["lr"]))
    run.run()
    assert rates == [learning_rate(SMALL, step) for step in range(8)]
    for line in log(tmp_path):
        t = (line["step"] - 1) / 8
        totals.append(sum(entry.at(t) * line[f"losses.{name}"] for name, entry in LOSSES.items()))
        assert line["training.lr"] == rates[line["step"] - 1]
    assert [line["total"] for line in log(tmp_path)] == pytest.approx(totals, rel=1e-5)


def test_the_attention_is_frozen_for_the_first_part_of_the_run(tmp_path):
    run = trainer(tmp_path, replace(SMALL, steps=20, warmup=0.0))
    start = weights(run)
    run.run(until=3)
    moved = {name.split(".")[0] for name, value in weights(run).items() if not torch.equal(value, start[name])}
    assert moved == {"mapper"}
    run.run(until=4)
    moved = {name.split(".")[0] for name, value in weights(run).items() if not torch.equal(value, start[name])}
    assert moved == {"mapper", "attention"}


@pytest.mark.parametrize(
    "values, warning",
    [
        ({"mask": 0.001, "attention": 0.1, "losses.clip_contrastive": 0.5}, "collapsed to 0"),
        ({"mask": 1.0, "attention": 0.99, "losses.clip_contrastive": 0.5}, "is 1 everywhere"),
        ({"mask": 0.5, "attention": 0.5, "losses.clip_contrastive": math.log(8)}, "that of guessing"),
        ({"mask": 0.5, "attention": 0.5, "losses.clip_contrastive": 0.5}, None),
        ({"mask": 0.5, "attention": 0.5}, None),
        ({"mask": 1.0}, None),
    ],
)
def test_early_warnings_in_plain_words(values, warning):
    config = TrainingConfig(steps=1000)
    found = early_warnings(config, 500, values)
    assert (not found) if warning is None else (len(found) == 1 and warning in found[0])
    assert not early_warnings(config, 50, values) and not early_warnings(config, 501, values)


def test_warnings_are_printed_while_the_run_goes_on(tmp_path, capsys):
    config = replace(SMALL, steps=10, snapshot_every=10)
    trainer(tmp_path, config, {"style_delta": LossConfig(1.0)}).run()
    assert "warning: step 10: the attention is 1 everywhere" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"steps": 0}, "training.steps is 0; allowed: 1 to 1,000,000"),
        ({"accumulate": 0}, "training.accumulate is 0; allowed: 1 to 1,024"),
        ({"lr": -0.1}, "training.lr is -0.1; allowed: above 0, up to 10"),
        ({"lr": float("nan")}, "training.lr is nan; allowed: above 0, up to 10"),
        ({"warmup": 2.0}, "training.warmup is 2.0; allowed: 0 to 1"),
    ],
)
def test_a_config_that_cannot_train_is_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(SMALL, **change)


def test_the_contrastive_loss_itself_refuses_one_prompt_and_other_losses_do_not(tmp_path):
    with pytest.raises(ValueError, match="training.prompts=1 makes the contrastive loss exactly zero; use at least 2"):
        trainer(tmp_path, replace(SMALL, prompts=1))
    trainer(tmp_path, replace(SMALL, prompts=1), {"style_delta": LossConfig(1.0)})


def test_no_loss_and_nothing_to_train_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no loss has a weight"):
        trainer(tmp_path, losses={})
    with pytest.raises(ValueError, match="NoOp has nothing to train"):
        trainer(tmp_path, name="no-op")


def test_a_loss_that_is_not_finite_ends_the_run_before_the_weights_are_spoilt(tmp_path):
    run = trainer(tmp_path)
    run.losses["style_delta"] = (LossConfig(1.0), lambda source, edit, condition: edit.shift.mean() * float("nan"))
    start = weights(run)
    with pytest.raises(ValueError, match="the loss is nan at step 1; start again in another folder"):
        run.run()
    assert same(weights(run), start) and not (tmp_path / "state.safetensors").exists()


def test_bfloat16_trains_and_losses_read_whole_precision(tmp_path):
    run, read = trainer(tmp_path, replace(SMALL, amp=True, steps=6)), set()

    def resized(source, edit, condition):
        """What every network does first, and what bfloat16 cannot."""
        read.add(edit.image.dtype)
        return F.interpolate(edit.image, (4, 4), mode="bilinear", antialias=True).square().mean()

    run.losses["resized"] = (LossConfig(1.0), resized)
    start = weights(run)
    run.run()
    assert read == {torch.float32}
    assert all(torch.isfinite(value).all() and value.dtype == torch.float32 for value in weights(run).values())
    assert not same(weights(run), start)


def test_tensorboard_shows_the_names_of_the_config_and_hides_what_was_taken_back(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = replace(SMALL, steps=4, tensorboard=True)
    killed_at(trainer(tmp_path, config), 3)
    trainer(tmp_path, config).run()
    seen = EventAccumulator(str(tmp_path))
    seen.Reload()
    names = {"training/lr", "total", "attention", "mask", *(f"losses/{name}" for name in LOSSES)}
    assert set(seen.Tags()["scalars"]) == names
    assert [event.step for event in seen.Scalars("total")] == [1, 2, 3, 4]
    logged = [line["total"] for line in log(tmp_path)]
    assert [event.value for event in seen.Scalars("total")] == pytest.approx(logged, rel=1e-6)


def test_without_tensorboard_there_are_only_lines(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    trainer(tmp_path, replace(SMALL, steps=2, tensorboard=True)).run()
    assert {path.name for path in tmp_path.iterdir()} == {"train.jsonl", "state.safetensors"}


# From here on: the whole run from its config, as scripts/train.py starts it.

TINY = ["generator.options.resolution=16", "training.steps=5", "training.snapshot_every=2", "training.prompts=2"]
TINY += ["training.tensorboard=false", "training.sheet_every=3", "method.mapper.options.samples=600"]


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """configs/toy.yaml on 16 px, with regions and captions in a folder of its own; returns the overrides."""
    (tmp_path / "captions").mkdir()
    (tmp_path / "captions/0.txt").write_text(toy.CAPTION)
    monkeypatch.setattr(build.Regions, "load", lambda *asked: toy.regions())
    monkeypatch.setattr(runs, "SHEET_PROMPTS", ("blond hair", "a beard"))
    monkeypatch.setattr(runs, "SHEET_SEEDS", (0,))
    return [*TINY, f"data.captions={tmp_path / 'captions'}"]


CONFIG = ROOT / "configs/toy.yaml"


def test_a_run_leaves_config_log_snapshot_sheets_and_editor(profile, tmp_path):
    out = tmp_path / "run"
    sentence = runs.train(load_profile(CONFIG, profile), out, "cpu")
    assert sentence.startswith(f"{out / 'editor.safetensors'} after 5 steps")
    sheets = ["sheet-000003.png", "sheet-000005.png"]
    files = ["config.yaml", "editor.safetensors", *sheets, "state.safetensors", "train.jsonl"]
    assert sorted(path.name for path in out.iterdir()) == files
    resolved = load_profile(CONFIG, profile)
    assert load_profile(out / "config.yaml") == resolved
    published = load_file(out / "editor.safetensors")
    state = load_file(out / "state.safetensors")
    assert {value.dtype for value in published.values()} == {torch.float16}
    assert all(torch.equal(value, state[f"parameter.{name}"].half()) for name, value in published.items())


def test_a_run_of_another_config_is_refused_before_anything_is_written(profile, tmp_path):
    out = tmp_path / "run"
    short = [*profile, "training.steps=1"]
    runs.train(load_profile(CONFIG, short), out, "cpu")
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ValueError, match="belongs to another config"):
        runs.train(load_profile(CONFIG, [*short, "training.lr=0.004"]), out, "cpu")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == files


def test_training_starts_from_a_trained_editor(profile, tmp_path):
    runs.train(load_profile(CONFIG, profile), tmp_path / "first", "cpu")
    editor = str(tmp_path / "first/editor.safetensors")
    built = load_profile(CONFIG, profile)
    frozen = build_frozen(built, toy.encoder())
    method = build_method(built, frozen, editor)
    expected = load_file(editor)
    assert all(torch.equal(p.half(), expected[name]) for name, p in method.named_parameters())
    with pytest.raises(ValueError, match=r"does not fit this config: it (lacks|holds) '.*'"):
        other = load_profile(CONFIG, [*profile, "method.attention.options.channels=3"])
        build_method(other, frozen, editor)


def test_training_does_not_start_from_the_editor_that_the_profile_edits_with(profile, tmp_path):
    first = [*profile, "training.steps=1"]
    runs.train(load_profile(CONFIG, first), tmp_path / "first", "cpu")
    shipped = f"method.weights={tmp_path / 'first/editor.safetensors'}"
    runs.train(load_profile(CONFIG, [*first, shipped]), tmp_path / "again", "cpu")
    values = [json.loads((tmp_path / run / "train.jsonl").read_text()) for run in ("first", "again")]
    assert values[0] == values[1]
    with pytest.raises(ValueError, match="no weights at absent.safetensors"):
        runs.train(load_profile(CONFIG, first), tmp_path / "init", "cpu", init="absent.safetensors")


@pytest.mark.parametrize(
    "overrides, sentence",
    [
        (["training.step=3"], "unknown key 'training.step'; did you mean 'steps'"),
        (["losses.clip_contrastiv.weight=1"], "unknown loss 'clip_contrastiv'; did you mean 'clip_contrastive'"),
        (["method.name=where2edi"], "unknown method 'where2edi'; did you mean 'where2edit'"),
        (["preview_head.weights=out/absent.safetensors"], "no weights at out/absent.safetensors"),
        (["generator.blend_site=16.conv3"], "site '16.conv3' does not exist .* did you mean '16.conv"),
        (["training.use_preview_head=true"], "training.use_preview_head needs a preview head"),
        (["training.prompts=1"], "exactly zero; use at least 2 prompts"),
    ],
)
def test_mistakes_in_the_config_are_one_sentence(overrides, sentence, profile, tmp_path):
    with pytest.raises(ValueError, match=sentence) as error:
        runs.train(load_profile(CONFIG, [*profile, *overrides]), tmp_path / "run", "cpu")
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "run").glob("*"))


def test_a_corpus_without_text_and_a_folder_that_is_a_file_are_refused(profile, tmp_path):
    (tmp_path / "captions/0.txt").write_text(" \n")
    with pytest.raises(ValueError, match="hold no text"):
        runs.train(load_profile(CONFIG, profile), tmp_path / "run", "cpu")
    (tmp_path / "taken").write_text("precious")
    with pytest.raises(ValueError, match="the folder .*taken is not writable .*; choose another with --out"):
        runs.train(load_profile(CONFIG, profile), tmp_path / "taken", "cpu")
    assert (tmp_path / "taken").read_text() == "precious"


@pytest.mark.slow
def test_the_script_killed_by_force_and_started_again(tmp_path):
    """SIGKILL at whatever step it has come to; the same command then gives the bytes of a run that was left alone."""
    (tmp_path / "captions").mkdir()
    (tmp_path / "captions/0.txt").write_text(toy.CAPTION)
    overrides = ["training.steps=8", "training.snapshot_every=2", "training.sheet_every=100", "training.prompts=2"]
    overrides += [
        "training.tensorboard=false",
        "method.mapper.options.samples=600",
        f"data.captions={tmp_path / 'captions'}",
    ]
    command = [sys.executable, ROOT / "scripts/train.py", "--config", CONFIG, "--device", "cpu", *overrides, "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    run = subprocess.Popen([*command, tmp_path / "run"], env=environment, stderr=subprocess.DEVNULL)
    lines = tmp_path / "run/train.jsonl"
    while not (lines.is_file() and lines.read_text().count("\n") >= 3):
        assert run.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    steps = lines.read_text().count("\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "SHEET_PROMPTS", ("a beard",))
        for name in ("run", "whole"):
            runs.train(load_profile(CONFIG, overrides), tmp_path / name, "cpu")
    assert 3 <= steps < 8, "the run was not killed on its way"
    for name in ("editor.safetensors", "train.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_the_digest_of_a_config_changes_with_every_value():
    base = load_profile(CONFIG)
    others = [["training.lr=0.006"], ["losses.unasked.weight=0.9"], ["method.mapper.options.hidden=33"]]
    digests = {config_digest(base), *(config_digest(load_profile(CONFIG, each)) for each in others)}
    assert len(digests) == 4 and STATE == "state.safetensors"
