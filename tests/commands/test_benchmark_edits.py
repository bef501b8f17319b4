"""The benchmark of whole edits: what it times is what it says, and its tables are made of what it measured."""

import json
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from hostile_cases import one_sentence
from toy_cases import ROOT

from where2edit.commands.benchmarks import edits, variants
from where2edit.commands.benchmarks.edit_growth import area_growth, batch_growth, evaluation_growth, square
from where2edit.commands.benchmarks.edits import AREAS, COLUMNS, TAIL, EditTimes, measured
from where2edit.commands.benchmarks.lines import MeasuredLines
from where2edit.commands.benchmarks.machine import MachineRates
from where2edit.commands.benchmarks.naive import naive_edit
from where2edit.commands.benchmarks.run import BenchmarkRun
from where2edit.commands.benchmarks.settings import Setting
from where2edit.commands.benchmarks.subjects import NAIVE, random_stylegan2, shipped_editor, with_onnx
from where2edit.commands.benchmarks.timing import Times, interleaved
from where2edit.commands.benchmarks.variants import CONFIGURED, Variant, built_variants, subject_leak, variants_text
from where2edit.commands.benchmarks.work import Work
from where2edit.editor.profile import load_profile
from where2edit.generators.stylegan2 import create

CPU = torch.device("cpu")
TOY = ROOT / "configs/toy.yaml"
SMALL = ("generator.options.channel_multiplier=1", "generator.blend_site=16.conv1")


def quick(lines=None):
    return BenchmarkRun(CPU, rounds=1, budget=1e4, quick=True, lines=lines)


@pytest.fixture(scope="module")
def toy():
    return with_onnx(shipped_editor(CPU, load_profile(TOY)))


@pytest.fixture(scope="module")
def stylegan2():
    return random_stylegan2(CPU, 64, SMALL)


def test_rounds_are_interleaved_and_the_first_is_not_counted():
    called = []
    times = interleaved({name: lambda name=name: called.append(name) for name in "ab"}, CPU, 3, "test")
    assert called == list("ab") * 4
    assert all(len(times[name].all) == 3 and times[name].median >= 0 for name in "ab")


def test_times_are_written_with_three_digits():
    assert str(Times((3.0, 1.0, 8.4))) == "3.00 (1.00 to 8.40)"
    assert str(Times((30.0, 10.0, 84.0))) == "30.0 (10.0 to 84.0)"
    assert str(Times((3000.0, 100.0, 8400.0))) == "3,000 (100 to 8,400)"
    assert Times((2.0, 1.0, 4.0)).spread == 1.5


def test_a_table_is_ratios_of_what_was_measured():
    times = {TAIL: Times((100.0,)), "edit, hair": Times((50.0,)), NAIVE: Times((1000.0,))}
    work = {"edit, hair": Work(gflop=5.0, gigabytes=0.25, gib=1.5)}
    rows = EditTimes(times, MachineRates(200.0, 10.0), tail_gflop=10.0, work=work).rows()
    assert rows[0] == ("whole tail at 200 GFLOP/s", "", "50", "", "", "", "", "")
    # 5 GFLOP and 0.25 GB in 50 ms are 100 GFLOP/s and 5 GB/s.
    assert rows[2] == ("edit, hair", "40%", "50.0 (50.0 to 50.0)", "0.50", "20.0", "50%", "50%", "1.50")
    assert rows[3][:5] == (NAIVE, "", "1,000 (1,000 to 1,000)", "10.00", "1.0")
    assert all(len(row) == len(COLUMNS.split(" | ")) for row in rows)


@pytest.mark.slow
def test_stylegan2_is_timed_beside_the_released_pipeline(stylegan2, tmp_path):
    lines = MeasuredLines(tmp_path / "b.jsonl", "Whole edits")
    found = measured(quick(lines), stylegan2)
    assert found.times.keys() == {TAIL, NAIVE, *AREAS} == found.work.keys()
    assert found.tail_gflop > 0.1 and found.rates.gflops > 0 and len(found.rows()) == 2 + len(AREAS) + 1
    # The naive edit does four passes where a tail is part of one, and holds more; a small edit does less than the tail.
    assert found.work[NAIVE].gflop > 4 * found.work[TAIL].gflop and found.work[NAIVE].gib > found.work[TAIL].gib
    assert found.work[TAIL].gflop == pytest.approx(found.tail_gflop)
    assert found.work["edit, lips"].gflop < found.work["edit, everything"].gflop
    written = [json.loads(line) for line in lines.path.read_text().splitlines()]
    assert {line.get("row") for line in written} == {None, *found.times}


def test_the_editor_of_a_profile_is_timed_by_unseen_prompts(toy):
    found = measured(quick(), toy)
    assert found.times.keys() == {TAIL, "source", "edit, by its own mask and strength", *AREAS}
    text = found.text(toy)
    assert text.startswith("### profile toy, 32 px") and text.count("| whole tail |") == 1
    assert "No row of ONNX Runtime: " in text


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


def test_boxes_are_the_shares_that_their_rows_say():
    assert edits.share(AREAS["edit, 5 % of the picture"]) == "5%" and edits.share(AREAS["edit, everything"]) == "100%"
    mask = edits.box_mask((0, 32, 0, 64), 128)
    assert mask.shape == (1, 1, 128, 128) and mask.mean().item() == pytest.approx(0.5)


@pytest.mark.parametrize("area", [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0])
def test_squares_are_as_large_as_they_say(area):
    assert square(area, 64).mean().item() == pytest.approx(area, abs=0.011)


@pytest.mark.parametrize("subject", ["toy", pytest.param("stylegan2", marks=pytest.mark.slow)])
def test_edits_grow_with_the_area_and_the_batch(subject, request):
    subject, run = request.getfixturevalue(subject), quick()
    by_area, by_batch = area_growth(run, subject), batch_growth(run, subject)
    assert list(by_area.points) == [5, 10] and list(by_batch.points) == [1, 2]
    assert by_area.points[5].keys() == {TAIL, "edit"} and by_batch.points[2].keys() == {"one edit", "edits"}
    assert run.growths == [by_area, by_batch]
    made = subject.batch(3, edits.box_mask(AREAS["edit, hair"], subject.cells))()
    assert len(made.image) == 3 and not torch.equal(made.image[0], subject.source.image[0])


@pytest.mark.slow
def test_the_evaluation_grows_with_its_samples():
    growth = evaluation_growth(quick(), load_profile(TOY))
    assert list(growth.points) == [2, 4] and growth.scale(4) == 2
    assert all(times["samples"].median > 10 for times in growth.points.values()), "nothing is read from an earlier run"


@pytest.mark.slow
def test_the_variants_are_a_table_of_changes_of_the_config(monkeypatch, tmp_path):
    known = {
        CONFIGURED: Variant(),
        "other": Variant(("generator.options.seed=1",), Setting(channels_last=True)),
        "absent": Variant(("generator.no_such=1",)),
    }
    monkeypatch.setattr(variants, "CPU_VARIANTS", known)
    lines = MeasuredLines(tmp_path / "b.jsonl", "Whole edits")
    build = lambda changes, setting: random_stylegan2(CPU, 32, (*SMALL, *changes), setting)  # noqa: E731
    text = variants_text(quick(lines), "Variants", build)
    assert [line.split(" | ")[0] for line in text.splitlines() if line[:1] == "|"] == [
        "| variant",
        "| ---",
        f"| {CONFIGURED}",
        "| other",
    ]
    assert "No row 'absent': unknown key 'generator.no_such'" in text
    written = [json.loads(line) for line in lines.path.read_text().splitlines()]
    assert [(line["row"], line["leak"]["largest"]) for line in written] == [(CONFIGURED, 0.0), ("other", 0.0)]


def test_a_leak_of_a_variant_would_be_seen(monkeypatch):
    (built,) = built_variants({CONFIGURED: Variant()}, partial(random_stylegan2_of, 64))[0].values()
    found = subject_leak(built, 2)
    assert found.largest == 0 and found.touched == 0 and found.inside > 0.1
    monkeypatch.setattr(variants, "halo", lambda generator, site: 0)
    found = subject_leak(built, 1)
    assert found.largest > 0 and found.touched > 0


def test_a_variant_that_a_device_cannot_compute_is_left_out_with_a_sentence():
    def build(changes, setting):
        def edit(mask):
            raise RuntimeError("not implemented for 'BFloat16'\n" + "detail " * 100)

        return SimpleNamespace(cells=16, edit=edit)

    built, (said,) = built_variants({"a": Variant()}, build)
    assert not built and said.startswith("No row 'a': not implemented for 'BFloat16' detail")
    one_sentence(said)


def random_stylegan2_of(resolution, changes, setting):
    return random_stylegan2(CPU, resolution, (*SMALL, *changes), setting)


def test_a_variant_s_switches_stand_while_its_source_and_its_edits_are_made():
    seen = []

    def build(changes, setting):
        seen.append(torch.backends.cudnn.allow_tf32)
        return SimpleNamespace(cells=16, edit=lambda mask: None)

    before = torch.backends.cudnn.allow_tf32
    built, _ = built_variants({"a": Variant(setting=Setting(tf32=True)), "b": Variant(setting=Setting())}, build)
    built["a"].call(lambda: seen.append(torch.backends.cudnn.allow_tf32))()
    built["b"].call(lambda: seen.append(torch.backends.cudnn.allow_tf32))()
    assert seen == [True, False, True, False] and torch.backends.cudnn.allow_tf32 == before
