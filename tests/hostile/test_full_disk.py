"""Whole commands on a full disk: one sentence and exit code 2, nothing half-written, and nothing lost."""

import pytest
from hostile_cases import one_sentence
from survival_cases import CASES, Running, bytes_of, changed, half_written

from where2edit.training.state import STATE

# Bytes that a file can have: none at all, no more than a lock, and one less than the largest result of the command.
ROOM = {"none": 0, "a little": 100, "almost enough": None}
QUICK = ("write_captions", "convert", "sample")
OVERWRITING = [name for name, case in CASES.items() if case.result and name != "write_captions"]


def room_for(expected, room):
    """Bytes that a file can have where `expected` are the results of the command."""
    return max(map(len, expected.values())) - 1 if ROOM[room] is None else ROOM[room]


def refuses(end):
    """Assert that a command ended in one sentence on what cannot be written."""
    assert end.code == 2 and "Traceback" not in end.error, end
    one_sentence(end.sentence.removeprefix("error: "))
    assert "cannot be written" in end.sentence or "is not writable" in end.sentence, end.sentence


def goes_on(name, room, whole, folder):
    """A command without room says so, loses nothing, and with room gives the bytes of one that always had it."""
    inputs, expected, _ = whole(name)
    refuses(Running(CASES[name], folder, inputs, most_bytes=room_for(expected, room)).end())
    assert not half_written(folder)
    for key, found in bytes_of(folder).items():
        if not key.endswith((".part", STATE, "-unfinished.safetensors")):  # what goes on from there
            assert expected[key] == found or key.endswith(".jsonl") and expected[key].startswith(found), key
    end = Running(changed(CASES[name], overwrite(name)), folder, inputs).end()
    assert end.code == 0, end
    assert bytes_of(folder) == expected


def overwrite(name):
    """The option for a command that would not replace those of its files that did get written."""
    return ("--overwrite",) if name in ("write_captions", "application_sheets") else ()


@pytest.mark.parametrize("name", QUICK)
def test_a_full_disk_ends_a_command_in_one_sentence(name, whole, tmp_path):
    goes_on(name, "almost enough", whole, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("room", ROOM)
@pytest.mark.parametrize("name", CASES)
def test_a_full_disk_ends_every_command_in_one_sentence(name, room, whole, tmp_path):
    goes_on(name, room, whole, tmp_path / "run")


@pytest.mark.slow
def test_a_full_disk_under_tensorboard_is_one_sentence_too(inputs, tmp_path):
    """Its writer is a thread of its own."""
    pytest.importorskip("tensorboard")
    options = ("training.tensorboard=true", "training.snapshot_every=100", "training.sheet_every=100")
    refuses(Running(changed(CASES["train"], options), tmp_path, inputs("train"), most_bytes=2200).end())


@pytest.mark.slow
@pytest.mark.parametrize("name", OVERWRITING)
def test_what_was_to_be_replaced_is_still_there_where_the_disk_is_full(name, whole, tmp_path):
    inputs, expected, _ = whole(name)
    earlier = tmp_path / CASES[name].result
    earlier.parent.mkdir()
    earlier.write_text("precious")
    room = len(expected[CASES[name].result]) - 1
    refuses(Running(changed(CASES[name], ("--overwrite",)), tmp_path, inputs, most_bytes=room).end())
    assert earlier.read_text() == "precious" and not half_written(tmp_path)
