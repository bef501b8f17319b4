"""Commands that are killed at any moment, and two commands in one folder: the same bytes as if nothing had been."""

import random
import shutil
import time
from itertools import count, islice

import pytest
from hostile_cases import one_sentence
from survival_cases import CASES, Moment, Running, bytes_of, changed, half_written

from where2edit.files.locks import LOCK

MOMENTS = {"train": 8, "evaluate": 8, "cluster": 7, "facetext": 7, "download": 6, "invert": 7, "train_encoder": 7}
KILLED = ("download", "invert", "train_encoder", pytest.param("cluster", marks=pytest.mark.slow))
IN_A_ROW = 3  # kills of one run, one after the other, before it may end


def moments(name, writes):
    """Random moments of a run that wrote at these seconds, without end; each third is inside the writing of a file."""
    draw = random.Random(name)
    for i in count():
        if i % 3 == 0:
            yield Moment(draw.randint(1, len(writes)), half=draw.random() < 0.7)
        else:
            second = draw.uniform(0, writes[-1])
            before = [write for write in writes if write <= second]
            yield Moment(len(before), second - (before[-1] if before else 0))


def killed(name, moments, whole, folder):
    """Kill a run at these moments, one after the other, let it end, and compare; returns how often it was killed.

    A run that goes on has less to do: where a moment lies behind its end, it has ended.
    """
    case, (inputs, expected, _) = CASES[name], whole(name)
    kills = 0
    for moment in [*moments, None]:
        end = Running(case, folder, inputs, moment).end()
        if end.code != -9:
            break
        kills += 1
    assert end.code == 0 or said_to_be_there(case, end), (moments, end)
    assert not half_written(folder), moments
    found = bytes_of(folder)
    assert found.keys() == expected.keys(), moments
    assert not [key for key in expected if found[key] != expected[key]], moments
    return kills


def said_to_be_there(case, end):
    """Whether a command that was killed behind its last write says that its result is there already."""
    return end.code == 2 and case.result is not None and f"{case.result} is there already" in end.sentence


@pytest.mark.parametrize(
    "name", ["download", pytest.param("cluster", marks=pytest.mark.slow), "invert", "train_encoder"]
)
def test_a_killed_command_ends_with_the_same_bytes(name, whole, tmp_path):
    writes = whole(name)[2]
    inside = [Moment(len(writes) // 2, half=True)]
    assert killed(name, inside, whole, tmp_path / "run") == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", MOMENTS)
def test_commands_killed_at_fifty_random_moments_end_with_the_same_bytes(name, whole, tmp_path):
    drawn, kills = moments(name, whole(name)[2]), 0
    for i in range(MOMENTS[name]):
        kills += killed(name, list(islice(drawn, min(IN_A_ROW, MOMENTS[name] - kills))), whole, tmp_path / str(i))
        shutil.rmtree(tmp_path / str(i))
        if kills == MOMENTS[name]:
            return
    raise AssertionError(f"only {kills} runs could be killed before they ended")


def test_there_are_fifty_moments():
    assert sum(MOMENTS.values()) == 50


# Two in one folder

STEPS = ("training.steps=2", "training.snapshot_every=1")
OTHERS = {  # case, the options of the second run -> what it says
    "train and train": ("train", STEPS, ()),
    "train and another config": ("train", STEPS, ("training.lr=0.001",)),
    "evaluate and evaluate": ("evaluate", ("--n", "2", "--natural-faces", "0"), ()),
    "evaluate and other samples": ("evaluate", ("--n", "2", "--natural-faces", "0"), ("--seed", "5")),
    "facetext and facetext": ("facetext", ("schedule.steps=2", "schedule.refine.start=0", "schedule.restart=0"), ()),
}
QUICK = ("train and another config",)


def two(pair, inputs, folder):
    """One command waits on its way while another one begins; the first must not feel it."""
    name, changes, other = OTHERS[pair]
    inputs, first = inputs(name), changed(CASES[name], changes)
    second = changed(first, other)
    alone = Running(first, folder / "alone", inputs).end()
    assert alone.code == 0, alone
    run, go = folder / "run", folder / "go"
    running = Running(first, run, inputs, pause=(len(alone.writes) // 2, go))
    while not (run / "paused").exists():
        assert running.process.is_alive(), running.end()
        time.sleep(0.01)
    refused = Running(second, run, inputs).end()
    go.touch()
    ended = running.end()
    (run / "paused").unlink()
    assert refused.code == 2 and "Traceback" not in refused.error, refused
    one_sentence(refused.sentence.removeprefix("error: "))
    assert f"out is in use by process {running.pid} on " in refused.sentence
    assert ended.code == 0, ended
    assert bytes_of(run) == bytes_of(folder / "alone") and not (run / "out" / LOCK).exists()


@pytest.mark.parametrize("pair", QUICK)
def test_a_second_run_in_a_folder_is_refused(pair, inputs, tmp_path):
    two(pair, inputs, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("pair", [pair for pair in OTHERS if pair not in QUICK])
def test_every_second_run_in_a_folder_is_refused(pair, inputs, tmp_path):
    two(pair, inputs, tmp_path)
