"""The benchmark of whole edits: what it times is what it says, and its table is made of what it measured."""

import json

import pytest
import torch

from where2edit.commands import benchmark_edits
from where2edit.commands.benchmarks import edits
from where2edit.commands.benchmarks.edits import AREAS, NAIVE, TAIL, EditTimes, stylegan2_times
from where2edit.commands.benchmarks.naive import naive_edit
from where2edit.commands.benchmarks.timing import Times, interleaved
from where2edit.generators.stylegan2 import create

CPU = torch.device("cpu")


def test_rounds_are_interleaved_and_the_first_is_not_counted():
    called = []
    times = interleaved({name: lambda name=name: called.append(name) for name in "ab"}, CPU, 3, "test")
    assert called == list("ab") * 4
    assert all(len(times[name].all) == 3 and times[name].median >= 0 for name in "ab")
    assert str(Times((3.0, 1.0, 8.4))) == "3 (1 to 8)"


def test_a_table_is_ratios_of_what_was_measured():
    times = {TAIL: Times((100.0,)), "edit, hair": Times((50.0,)), NAIVE: Times((1000.0,))}
    rows = EditTimes(times, gflops=200.0, tail_gflop=10.0).rows()
    assert rows[0] == ("whole tail at 200 GFLOP/s", "", "50", "", "")
    assert rows[2] == ("edit, hair", "40%", "50 (50 to 50)", "0.50", "20.0")


def test_stylegan2_is_timed_beside_the_released_pipeline():
    found = stylegan2_times(CPU, 1, 128)
    assert found.times.keys() == {TAIL, NAIVE, *AREAS}
    assert found.tail_gflop > 1 and found.gflops > 0 and len(found.rows()) == 2 + len(AREAS) + 1


def test_the_naive_edit_walks_four_times_and_the_encoder_reads_two_images(monkeypatch):
    generator, walks = create(64, 1, seed=1), []
    with torch.no_grad():
        source = generator.source(generator.w(generator.sample_z([0])))
    whole = generator.synthesis
    monkeypatch.setattr(generator, "synthesis", lambda styles: walks.append(generator.arithmetic.impl) or whole(styles))
    attention, labels = torch.rand(1, 1, 16, 16), torch.randint(0, 3, (1, 16, 16))
    read = naive_edit(generator, source, attention, labels, 3)
    assert walks == ["reference"] * 4 and [x.shape for x in read] == [(1, 3, 224, 224)] * 2
    assert generator.arithmetic.impl == "auto"


def test_the_section_and_its_lines_are_written(monkeypatch, tmp_path):
    times = EditTimes({TAIL: Times((100.0,))}, 200.0, 10.0)
    for name in ("shipped_editor_times", "stylegan2_times"):
        monkeypatch.setattr(benchmark_edits, name, lambda *what: times)
    text = benchmark_edits.report(CPU, 2, 128, tmp_path / "b.jsonl")
    assert text.startswith("## Whole edits") and text.count("| whole tail |") == 2
    lines = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert [line["gflops"] for line in lines] == [200.0, 200.0]


def test_boxes_are_the_shares_that_their_rows_say():
    assert edits.share(AREAS["edit, 5 % of the picture"]) == "5%" and edits.share(AREAS["edit, everything"]) == "100%"
    mask = edits.box_mask((0, 32, 0, 64), 128)
    assert mask.shape == (1, 1, 128, 128) and mask.mean().item() == pytest.approx(0.5)
