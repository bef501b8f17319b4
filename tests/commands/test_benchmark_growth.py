"""Growth curves, their budget, their picture, and the lines that are on disk as soon as they are measured."""

import json

import pytest
import torch
from PIL import Image

from where2edit.commands.benchmarks import growth as module
from where2edit.commands.benchmarks import machine
from where2edit.commands.benchmarks.growth import Growth, draw, grow
from where2edit.commands.benchmarks.lines import MeasuredLines
from where2edit.commands.benchmarks.machine import MachineCalls, cpu_name, described
from where2edit.commands.benchmarks.timing import Times
from where2edit.commands.benchmarks.work import work_of

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    """A clock that only `measure` moves."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_growth_ends_where_the_budget_would_not_hold_the_next_size(clock):
    kept = []

    def measure(size):
        clock[0] += size
        return {"base": Times((10.0,)), "a": Times((10.0 * size,))}

    found = grow(Growth("T", "size", "base"), (1, 2, 4, 8), measure, 8, lambda **facts: kept.append(facts["size"]))
    assert list(found.points) == kept == [1, 2, 4]
    assert found.ended == "8 and more would not end within the 8 seconds of `--budget`."
    clock[0] = 0.0
    assert list(grow(Growth("T", "size", "base"), (9, 10), measure, 1).points) == [9], "the first is always measured"
    clock[0] = 0.0
    short = grow(Growth("T", "size", "base"), (1, 2, 4), measure, 6, expected=lambda size: 1.0)
    assert list(short.points) == [1, 2, 4] and not short.ended


def test_a_growth_ends_where_the_memory_ends(clock):
    def measure(size):
        if size > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"base": Times((1.0,))}

    found = grow(Growth("T", "size", "base"), (1, 2, 4), measure, 60)
    assert list(found.points) == [1, 2] and found.ended == "4 and more do not fit into the memory of the GPU."


def test_a_table_compares_with_the_base_of_the_same_rounds():
    points = {1: {"base": Times((10.0,)), "a": Times((20.0,))}, 4: {"a": Times((80.0,))}, 8: {"base": Times((5.0,))}}
    points[2] = {"base": Times((20.0,)), "a": Times((20.0,))}
    text = Growth("Title", "size", "base", lambda size: size, points, ended="Ended.").text()
    assert text.splitlines() == [
        "### Title",
        "",
        "| size | a, ms | to base |",
        "| --- | --- | --- |",
        "| 1 | 20.0 (20.0 to 20.0) | 2.00 |",
        "| 4 | 80.0 (80.0 to 80.0) | – |",
        "| 8 | – | – |",
        "| 2 | 20.0 (20.0 to 20.0) | 0.50 |",
        "",
        "Ended.",
    ]


def test_the_picture_is_the_same_bytes_again(tmp_path):
    points = {1: {"base": Times((1.0, 2.0)), "a": Times((3.0,))}, 2: {"a": Times((6.0, 5.0, 9.0))}}
    growths = [Growth("One", "x", "base", points=points), Growth("Two", "y", "base", points=points)]
    first, again = (draw(growths, tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == again
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == 2 * 540


def test_lines_are_there_at_once_and_a_whole_run_replaces_its_earlier_ones(tmp_path):
    path = tmp_path / "docs" / "b.jsonl"
    other, first = MeasuredLines(path, "Other"), MeasuredLines(path, "Edits")
    other.add(x=1)
    first.add(x=2)
    broken_off = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["section"], line["x"]) for line in broken_off] == [("Other", 1), ("Edits", 2)]
    with path.open("a") as file:
        file.write('{"section": "Edits", "x')  # as a killed run leaves it
    second = MeasuredLines(path, "Edits")
    second.add(x=3)
    assert '"x": 2' in path.read_text(), "what was broken off stays until a run is whole"
    second.close()
    whole = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["section"], line["x"]) for line in whole] == [("Other", 1), ("Edits", 3)]
    assert whole[1]["run"] == second.run != first.run


def test_lines_of_something_else_are_not_lost(tmp_path):
    path = tmp_path / "b.jsonl"
    path.write_text('{"what": "mine"}\nnotes\n')
    lines = MeasuredLines(path, "Edits")
    lines.add(x=1)
    lines.close()
    assert path.read_text().splitlines()[:2] == ['{"what": "mine"}', "notes"]


def test_a_machine_s_rates_are_of_its_own_calls():
    calls = MachineCalls(CPU, side=64, copied=4096)
    made = calls.calls()
    assert made.keys() == {"matrix product", "copy"} and made["matrix product"]().shape == (64, 64)
    assert made["copy"]().shape == (1024,)
    times = {"matrix product": Times((2.0,)), "copy": Times((4.0,)), "else": Times((1.0,))}
    rates = calls.rates(times)
    assert times.keys() == {"else"}
    assert rates.gflops == pytest.approx(2 * 64**3 / 2e-3 / 1e9) and rates.gigabytes == pytest.approx(
        2 * 4096 / 4e-3 / 1e9
    )


def test_versions_of_machine_and_libraries_are_named(monkeypatch, tmp_path):
    text = described(CPU)
    assert f"torch {torch.__version__.split('+')[0]}" in text and "numpy" in text and "Python 3." in text
    monkeypatch.setattr(machine, "CPU_NAMES", tmp_path / "cpuinfo")
    assert cpu_name(), "the architecture"
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Fast 9000\n")
    assert cpu_name() == "Fast 9000"
    assert machine.installed("no-such-package") == ""


def test_work_counts_arithmetic_traffic_and_memory():
    a, b = torch.ones(64, 32), torch.ones(32, 16)
    work = work_of(lambda: a @ b, CPU)
    assert work.gflop == pytest.approx(2 * 64 * 32 * 16 / 1e9)
    assert work.gigabytes == pytest.approx(4 * (64 * 32 + 32 * 16 + 64 * 16) / 1e9)
    assert work.gib == pytest.approx(4 * 64 * 16 / 2**30)


def test_memory_is_what_is_held_at_once_and_views_are_no_traffic():
    x = torch.ones(1000)

    def call():
        for _ in range(5):
            x.view(10, 100).expand(3, 10, 100)[0] + 1  # noqa: B018

    work = work_of(call, CPU)
    assert work.gib == pytest.approx(4 * 1000 / 2**30) and work.gigabytes == pytest.approx(5 * 2 * 4000 / 1e9)
    held = work_of(lambda: [x + i for i in range(5)], CPU)
    assert held.gib == pytest.approx(5 * 4 * 1000 / 2**30)


def test_work_of_a_backward_pass_is_counted():
    w = torch.ones(8, 8, requires_grad=True)
    x = torch.ones(4, 8)
    work = work_of(lambda: (x @ w).sum().backward(), CPU)
    assert work.gflop == pytest.approx(2 * (2 * 4 * 8 * 8) / 1e9)
