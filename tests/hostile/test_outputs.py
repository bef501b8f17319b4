"""Results that survive: full disks, killed and interrupted runs, two runs in one folder, other results of one name."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import toy_cases as toy
from hostile_cases import one_sentence
from torch import nn

from where2edit.core.sentences import one_sentence as shortened
from where2edit.editor.profile import NOT_TRAINED, load_profile
from where2edit.editor.recipes import Recipe, RecipeStep
from where2edit.editor.results import stem_of
from where2edit.evaluation import protocols
from where2edit.evaluation.earlier_report import check_earlier_report
from where2edit.evaluation.figures import average, interval
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.intervals import Interval
from where2edit.evaluation.report import Provenance
from where2edit.evaluation.tables import number
from where2edit.facetext.config import EncoderConfig, Schedule
from where2edit.facetext.trainer import fingerprint
from where2edit.files import atomic, locks, pictures, tensorfile
from where2edit.files.atomic import StorageError, atomic_write, partial_path, sweep, write_text
from where2edit.files.fingerprints import config_digest
from where2edit.files.locks import LOCK, locked
from where2edit.training.loop import Pace, TrainingLoop
from where2edit.training.run_folder import run_folder
from where2edit.training.run_log import RunLog
from where2edit.training.state import STATE

TOY = toy.ROOT / "configs/toy.yaml"
BIG = torch.arange(100_000.0)

# Every way in which a file is written.
WRITERS = {
    "text": lambda path: write_text(path, "x" * 400_000),
    "tensors": lambda path: tensorfile.write(path, {"x": BIG}, "editor", {}),
    "picture": lambda path: pictures.save_png(torch.rand(3, 256, 256) * 2 - 1, path.with_suffix(".png")),
    "jpeg of one write": lambda path: pictures.save_jpeg(
        pictures.to_picture(torch.rand(3, 256, 256) * 2 - 1), path.with_suffix(".jpg"), 90
    ),
    "jpeg": lambda path: pictures.save_jpeg(
        pictures.to_picture(torch.rand(3, 512, 512) * 2 - 1), path.with_suffix(".jpg"), 95
    ),
}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def full_disk():
    """Files take 50,000 bytes and no more, as on a disk that is full."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(kind, tmp_path):
    WRITERS[kind](tmp_path / "kept")
    (kept,) = tmp_path.iterdir()
    before = kept.read_bytes()
    with full_disk(), pytest.raises(StorageError, match="cannot be written .*; free some space, or choose") as error:
        WRITERS[kind](tmp_path / "kept")
    one_sentence(shortened(str(error.value)))
    assert kept.read_bytes() == before and names(tmp_path) == [kept.name]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("kind", WRITERS)
def test_whatever_the_disk_says_is_one_sentence(kind, number, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StorageError, match=f"cannot be written \\({os.strerror(number)}\\)") as error:
        WRITERS[kind](tmp_path / "new")
    one_sentence(shortened(str(error.value)))
    assert not names(tmp_path)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_that_is_a_file_is_one_sentence(kind, tmp_path):
    (tmp_path / "taken").write_text("precious")
    with pytest.raises(StorageError, match="cannot be written"):
        WRITERS[kind](tmp_path / "taken" / "new")
    assert (tmp_path / "taken").read_text() == "precious"


@pytest.mark.parametrize("name", ["x" * 10, "x" * 200, "x" * 254, "\u4e2d" * 84, "\U0001f600" * 63, "\udcff" * 200])
def test_long_names_can_be_written(name, tmp_path):
    assert write_text(tmp_path / name, "text").read_text() == "text" and len(names(tmp_path)) == 1


@pytest.mark.parametrize("name", ["\u4e2d" * 80, "\U0001f600" * 60, "x" * 240])
def test_the_edits_of_a_latent_with_a_long_name_can_be_written(name, tmp_path):
    recipe = Recipe(
        {}, "", (RecipeStep("x" * 40 + " y", strength=0.1),), latent=f"{name}.npy", inputs={f"{name}.npy": ""}
    )
    stem = stem_of(recipe)
    assert stem.startswith(name[:15]) and len(os.fsencode(f"{stem}-step1000.png")) < 150


# What killed runs leave


def ended():
    """The number of a process that runs no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("host", "pid", "stays"),
    [("here", "ended", False), ("here", "alive", True), ("here", "own", True), ("elsewhere", "ended", True)],
)
def test_only_our_own_of_killed_processes_is_swept(host, pid, stays, tmp_path):
    pids = {"ended": ended(), "alive": os.getppid(), "own": os.getpid()}
    left = tmp_path / f".state.safetensors.{atomic.host() if host == 'here' else '0' * 8}-{pids[pid]}.partial"
    others = [tmp_path / name for name in (".notes.partial", "a.partial", ".x.123.partial", "below")]
    others[-1].mkdir()
    deep = others[-1] / left.name
    for path in (left, deep, *others[:-1]):
        path.write_text("half")
    sweep(tmp_path)
    assert left.exists() == stays and deep.exists() and all(path.exists() for path in others)
    sweep(tmp_path, below=True)
    assert deep.exists() == stays


def test_a_killed_writer_leaves_what_the_next_start_sweeps(tmp_path):
    code = "import os, signal, sys\nfrom where2edit.files.atomic import atomic_write\n"
    code += (
        "with atomic_write(sys.argv[1]) as file:\n    file.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path / "result"], check=False).returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 1 and names(tmp_path)[0].endswith(".partial")
    sweep(tmp_path)
    assert not names(tmp_path)


def test_partial_names_are_known_again(tmp_path):
    for name in ("a", "state.safetensors", "x" * 250, "ein Bild.png", "金.json"):
        assert atomic.PARTIAL.fullmatch(partial_path(tmp_path / name).name)


# Two runs in one folder


@contextmanager
def other_process(folder):
    """Another process that holds the folder."""
    code = "import sys, time\nfrom pathlib import Path\nfrom where2edit.files.locks import locked\n"
    code += "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_two_runs_in_one_folder_cannot_mix_and_a_killed_one_gives_way(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "SECONDS", 0.3)
    with other_process(tmp_path) as owner:
        with pytest.raises(ValueError, match=f"is in use by process {owner.pid} on ") as error, locked(tmp_path):
            pass
        assert "wait for it, or choose another folder with --out" in one_sentence(shortened(str(error.value)))
        assert names(tmp_path) == [LOCK]
    with locked(tmp_path):  # its lock is still there, and nobody's
        assert LOCK in names(tmp_path)
    assert not names(tmp_path)


def test_two_evaluations_in_one_folder_cannot_lose_each_other_s_figures(tmp_path, monkeypatch):
    from where2edit.evaluation import evaluate

    monkeypatch.setattr(locks, "SECONDS", 0.3)
    monkeypatch.setattr(evaluate, "build_encoder", lambda *what: pytest.fail("work begins"))
    with other_process(tmp_path) as owner:
        with pytest.raises(ValueError, match=f"is in use by process {owner.pid} on "):
            evaluate.evaluate_profile(load_profile(TOY), [protocols.load("masks")], tmp_path, "cpu")
        assert names(tmp_path) == [LOCK]


@pytest.mark.parametrize("content", ["\0" * 40, "not a lock\n", "12\n"])
def test_what_a_power_cut_leaves_of_a_lock_gives_way(content, tmp_path):
    (tmp_path / LOCK).write_text(content)
    with locked(tmp_path):
        pass
    assert not names(tmp_path)


def test_a_lock_of_another_machine_is_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "SECONDS", 0.3)
    (tmp_path / LOCK).write_text("4711\nanother.example.org\n")
    match = "process 4711 on another.example.org; wait.*where it does not run"
    with pytest.raises(ValueError, match=match) as error, locked(tmp_path):
        pass
    assert str(tmp_path / LOCK) in str(error.value) and names(tmp_path) == [LOCK]


def test_a_lock_ends_with_an_error(tmp_path):
    with suppress(RuntimeError), locked(tmp_path):
        raise RuntimeError
    assert not names(tmp_path)


# The loop of a training


class Counting(TrainingLoop):
    """The smallest training: one weight that grows by its step, so that its value tells which steps were made."""

    def __init__(self, folder, steps=6, snapshot_every=2, sheet_every=3, named="one", sheet=None):
        module = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(module.weight)
        pace = Pace(steps, snapshot_every, sheet_every, tensorboard=False)
        super().__init__(module, torch.optim.Adam(module.parameters()), folder, pace, named, sheet or self.draw)

    def draw(self, path):
        write_text(path, str(self.module.weight.item()))

    def train_step(self):
        with torch.no_grad():
            self.module.weight += self.step + 1
        return {"total": float(self.step)}


class Killed(BaseException):
    """kill -9, as far as a test can."""


def killed(loop, method, call=1):
    """Run until the `call`-th call of a method, before which the process dies."""
    whole, calls = getattr(loop, method), []

    def dying(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise Killed
        return whole(*arguments)

    setattr(loop, method, dying)
    with pytest.raises(Killed):
        loop.run()


def everything(folder):
    return {name: (folder / name).read_bytes() for name in names(folder)}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    Counting(folder).run()
    assert names(folder) == ["sheet-000003.png", "sheet-000006.png", STATE, "train.jsonl"]
    return everything(folder)


@pytest.mark.parametrize(
    ("method", "call"), [*(("train_step", i) for i in range(1, 7)), *(("save", i) for i in range(1, 4)), ("sheet", 1)]
)
def test_a_kill_at_any_moment_loses_neither_steps_nor_sheets(method, call, uninterrupted, tmp_path):
    killed(Counting(tmp_path), method, call)
    Counting(tmp_path).run()
    assert everything(tmp_path) == uninterrupted


def test_a_kill_after_the_last_snapshot_does_not_lose_the_last_sheet(uninterrupted, tmp_path):
    killed(Counting(tmp_path), "save", 3)
    assert "sheet-000006.png" in names(tmp_path), "the sheet comes before the snapshot"
    Counting(tmp_path).run()
    assert everything(tmp_path) == uninterrupted


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_ctrl_c_ends_the_step_and_saves_it(step, uninterrupted, tmp_path):
    loop = Counting(tmp_path, snapshot_every=100)
    whole = loop.train_step

    def pressed():
        if loop.step + 1 == step:
            os.kill(os.getpid(), signal.SIGINT)
        return whole()

    loop.train_step = pressed
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert loop.step == step and signal.getsignal(signal.SIGINT) is before
    again = Counting(tmp_path, snapshot_every=100)
    again.resume()
    assert again.step == step
    again.run()
    assert {name: data for name, data in everything(tmp_path).items() if name != STATE} == {
        name: data for name, data in uninterrupted.items() if name != STATE
    }


def test_a_second_ctrl_c_acts_at_once(tmp_path):
    loop = Counting(tmp_path)

    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        raise AssertionError("the second one was held back")

    loop.train_step = twice
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert STATE not in names(tmp_path)


def test_training_in_another_thread_holds_nothing_back(tmp_path):
    thread = threading.Thread(target=Counting(tmp_path).run)
    thread.start()
    thread.join()
    assert STATE in names(tmp_path)


def test_a_finished_run_can_be_made_longer_and_never_shorter(tmp_path):
    Counting(tmp_path, steps=6).run()
    longer = Counting(tmp_path, steps=10, snapshot_every=5)
    longer.run()
    assert longer.step == 10 and longer.module.weight.item() == sum(range(1, 11))
    lines = [json.loads(line)["step"] for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert lines == list(range(1, 11))
    with pytest.raises(ValueError, match="has made 10 steps, and 6 are asked for; give at least 10"):
        Counting(tmp_path, steps=6).run()
    with pytest.raises(ValueError, match="has made 10 steps"), run_folder(tmp_path, "one", 6, "editor.safetensors"):
        pass
    with run_folder(tmp_path, "one", 10, "editor.safetensors") as begun:
        assert begun


FREE = ["training.steps=99", "training.snapshot_every=7", "training.sheet_every=9", "training.tensorboard=false"]
FREE += ["method.weights=x.safetensors", "natural_strength.faces=9", "preview_fit.steps=9"]
BOUND = ["training.lr=0.5", "training.seed=1", "losses.unasked.weight=0.5", "generator.truncation=0.5"]
BOUND += ["regions.seed=1", "data.distinct=0.5", "method.strength=0.2", "training.amp=true", "blending.blur=3"]


@pytest.mark.parametrize("change", FREE)
def test_what_changes_no_number_does_not_name_a_run(change):
    assert load_profile(TOY, [change]).training_digest == load_profile(TOY).training_digest
    assert config_digest(load_profile(TOY, [change])) != config_digest(load_profile(TOY))
    assert any(change.startswith(key) for key in NOT_TRAINED)


@pytest.mark.parametrize("change", BOUND)
def test_what_changes_numbers_names_a_run(change):
    assert load_profile(TOY, [change]).training_digest != load_profile(TOY).training_digest


def test_a_run_of_facetext_is_named_likewise():
    plain, longer = EncoderConfig(), EncoderConfig(schedule=Schedule(steps=9000, save_every=9))
    assert fingerprint(plain) == fingerprint(longer)
    assert fingerprint(plain) != fingerprint(EncoderConfig(schedule=Schedule(seed=1)))


def test_a_run_from_trained_weights_is_not_that_of_others(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    runs = [fingerprint(EncoderConfig(), path) for path in (None, tmp_path / "a", tmp_path / "b")]
    assert len(set(runs)) == 3
    (tmp_path / "b").write_text("a")
    assert fingerprint(EncoderConfig(), tmp_path / "b") == runs[1], "it is named by the content"
    with pytest.raises(ValueError, match="no weights at .*absent; give the path of a file"):
        fingerprint(EncoderConfig(), tmp_path / "absent")


LINES = b"".join(json.dumps({"step": step, "total": 1.0}).encode() + b"\n" for step in range(1, 7))
ENDS = {
    "whole": (LINES, 6),
    "cut short": (LINES[:-5], 5),
    "NUL bytes": (LINES + b"\0" * 4096, 6),
    "NUL bytes in the last line": (LINES[:-10] + b"\0" * 4096, 5),
    "NUL bytes and a line end": (LINES[:-10] + b"\0" * 100 + b"\n", 5),
    "NUL bytes in the middle": (LINES[:60] + b"\0" * 20 + LINES[80:], 2),
    "not UTF-8": (LINES + b"\xff\xfe\n", 6),
    "another JSON": (LINES + b"[1, 2]\n", 6),
    "no step": (LINES + b'{"total": 1}\n', 6),
    "a step that is none": (LINES + b'{"step": "seven"}\n', 6),
    "deep JSON": (LINES + b"[" * 100_000 + b"\n", 6),
    "empty": (b"", 0),
    "nothing but NUL bytes": (b"\0" * 4096, 0),
}


@pytest.mark.parametrize("step", [0, 3, 6])
@pytest.mark.parametrize("name", ENDS)
def test_a_damaged_log_is_cut_back(name, step, tmp_path, capsys):
    content, whole = ENDS[name]
    (tmp_path / "train.jsonl").write_bytes(content)
    RunLog(tmp_path, step, tensorboard=False).write(step + 1, {"total": 2.0})
    kept = [json.loads(line)["step"] for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert kept == [*range(1, min(step, whole) + 1), step + 1]
    said = capsys.readouterr().err
    assert ("are lost" in said) == (min(step, whole) < step and bool(content)), said


def test_a_full_disk_ends_a_log_in_one_sentence_and_the_next_run_goes_on(tmp_path):
    log = RunLog(tmp_path, 0, tensorboard=False)
    log.write(1, {"total": 1.0})
    with full_disk(), pytest.raises(StorageError, match="train.jsonl cannot be written .* goes on"):
        for step in range(2, 9):
            log.write(step, {"x" * 10_000: 1.0})
    again = RunLog(tmp_path, 1, tensorboard=False)
    again.write(2, {"total": 2.0})
    assert [json.loads(line)["step"] for line in again.path.read_text().splitlines()] == [1, 2]


# Other results of one name


PROVENANCE = Provenance("toy", "stylegan2", "toy", "", "c0ffee", "weights", "commit")


def figure(**changes):
    line = {"protocol": "masks", "row": "ours", "metric": "mask_iou", "prompt": None, "seed": 100_000, "n": 4}
    return line | vars(PROVENANCE) | changes


MASKS = protocols.load("masks")
EARLIER = {
    "the same": ([figure()], None),
    "another commit": ([figure(commit="other")], None),
    "other samples": ([figure(n=400)], None),
    "several rows": ([figure(row=row.label) for row in MASKS.rows], None),
    "other weights": ([figure(weights="others")], "another weights"),
    "another config": ([figure(config="bad")], "another config"),
    "another profile": ([figure(profile="mobile")], "another profile"),
    "another held-out encoder": ([figure(heldout="clip")], "another heldout"),
    "another seed": ([figure(seed=5)], "another seed"),
    "another table": ([figure(), figure(protocol="table1")], "table table1, row ours"),
    "another row": ([figure(row="theirs")], "table masks, row theirs"),
    "no figures": (["not JSON"], "another profile"),
    "a list": (["[]"], "another profile"),
    "deep": (["[" * 100_000], "another profile"),
}


@pytest.mark.parametrize("name", EARLIER)
def test_a_report_does_not_replace_that_of_something_else(name, tmp_path):
    lines, reason = EARLIER[name]
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (tmp_path / "figures.jsonl").write_text(text)
    if reason is None:
        check_earlier_report(tmp_path, [MASKS], PROVENANCE, 100_000)
    else:
        with pytest.raises(
            ValueError, match=f"has figures that the new report would not have \\({reason}\\); choose"
        ) as error:
            check_earlier_report(tmp_path, [MASKS], PROVENANCE, 100_000)
        one_sentence(shortened(str(error.value)))
    times = replace(MASKS, kind="time")
    check_earlier_report(tmp_path, [times], PROVENANCE, 100_000)  # whose figures have a file of their own


def test_a_folder_without_a_report_is_free(tmp_path):
    check_earlier_report(tmp_path, [MASKS], PROVENANCE, 100_000)


def test_a_flipped_bit_in_a_stored_sample_is_measured_again(tmp_path):
    pytest.importorskip("where2edit.files.checksums", reason="the reader of safetensors has no checksums yet")
    from where2edit.evaluation.samples import SamplingPlan, prompt_batches
    from where2edit.evaluation.store import MeasurementStore

    store, plan = MeasurementStore(tmp_path, MASKS, "ours", {}), SamplingPlan(2)
    (batch,) = prompt_batches(MASKS, plan, range(2))
    store.write(batch, range(2), {"mask_iou": torch.tensor([0.25, 0.5])})
    assert store.read(batch, range(2), ["mask_iou"]) is not None
    path = store.path(batch, range(2))
    data = bytearray(path.read_bytes())
    for place in range(len(data) - 24, len(data)):
        data[place] ^= 4
        path.write_bytes(data)
        assert store.read(batch, range(2), ["mask_iou"]) is None, place
        data[place] ^= 4


# Figures that are no numbers


def features(metric, count):
    """A metric of `count` samples."""
    built = METRICS.get(metric)()
    draw = torch.Generator().manual_seed(0)
    built.insert(torch.arange(count), torch.randn(count, built.width, generator=draw))
    return built


@pytest.mark.parametrize(("metric", "count"), [("fid_vs_unedited", 1), ("kid_vs_unedited", 1), ("inception_score", 10)])
def test_figures_of_too_few_samples_are_refused(metric, count):
    few = features(metric, count)
    assert interval(few) is None
    with pytest.raises(ValueError, match=f"of {count} samples means nothing; give at least"):
        few.compute()


def test_an_inception_score_of_twenty_pictures_is_one():
    assert features("inception_score", 20).compute() > 1


@pytest.mark.parametrize("metric", ["fid_vs_unedited", "success_judge", "mask_iou"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_figure_that_is_no_number_is_a_dash(metric, value):
    assert number(metric, value) == "–"


def test_prompts_without_a_number_are_left_out_of_the_mean():
    none = Interval(float("nan"), float("nan"), float("nan"), 1)
    assert average([none]) is None and average([none, Interval(2, 1, 3, 4)]).value == 2


# The package knows nothing of where it is started


def test_names_of_the_package_are_found_from_any_folder(tmp_path, monkeypatch):
    from where2edit.editor.weights import find_weights
    from where2edit.files.manifest import found

    monkeypatch.chdir(tmp_path)
    for name in ("configs/toy.yaml", "pretrained_models/judge.safetensors", "configs/protocols/masks.yaml"):
        assert found(name).is_file() and found(name).is_absolute()
    assert load_profile("configs/toy.yaml").name == "toy"
    assert find_weights("pretrained_models/editor-mobile.safetensors").is_file()
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/toy.yaml").write_text("name: mine\n")
    assert load_profile("configs/toy.yaml").name == "mine", "a file of the working folder comes first"
    assert found("absent.yaml") == Path("absent.yaml")


def test_what_is_written_whole_is_written_once(tmp_path):
    with atomic_write(tmp_path / "a") as partial:
        partial.write_text("new")
        assert names(tmp_path) == [partial.name]
    assert names(tmp_path) == ["a"]
