"""The table of photos on the toy profile with stand-in networks: rows, resuming, what the judge sees, the page."""

import json
import shutil
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest
import torch
from inversion_cases import use_small_networks
from metric_cases import make_batch, make_networks
from photo_cases import ASTRONAUT, astronaut, square

from where2edit.core.config import as_dict
from where2edit.editor.build import build_conditions, build_encoder, build_frozen
from where2edit.editor.profile import load_profile
from where2edit.evaluation import photo_runner, photo_samples, photo_sheet, photo_tables, protocols, tables
from where2edit.evaluation.earlier_report import check_earlier_photos
from where2edit.evaluation.evaluate import evaluate_profile
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.edit_batch import AnalysedImages
from where2edit.evaluation.options import EvaluationOptions
from where2edit.evaluation.photo_batches import InvertedPhoto, edit_batch
from where2edit.evaluation.photo_runner import PhotoRunner, halves, plan_of
from where2edit.evaluation.photo_samples import PhotoSample
from where2edit.evaluation.photo_tables import evaluate_photos, split
from where2edit.evaluation.protocols import Goal, Prompt
from where2edit.evaluation.report import Provenance
from where2edit.evaluation.rows import RowBuilder
from where2edit.evaluation.samples import prompt_batches
from where2edit.evaluation.table import PlannedTable
from where2edit.inversion import inverter as inverter_module
from where2edit.inversion.base import InversionConfig
from where2edit.photos.alignment import Alignment, crop
from where2edit.photos.finding import PhotoFace

PROMPTS = (Prompt("red lips", ("lips",), "Wearing_Lipstick"), Prompt("a big smile", ("skin",), "Smiling"))
SHIPPED = protocols.load("photos")
GOALS = (Goal("inversion_l2", at_most=0.0), Goal("photo_leak", at_most=0))
TABLE = replace(SHIPPED, prompts=PROMPTS, goals=GOALS)
PROVENANCE = Provenance("toy", "stylegan2", "toy", "", "c", "", "0" * 40)
ROWS = [row.label for row in SHIPPED.rows]
WHOLE = "W+ and canvas"
CELL = 64  # pixels of a picture of the sheet


@pytest.fixture(scope="module", autouse=True)
def stand_ins():
    """Small networks of the fit, and a clock by which every inversion takes 2 s."""
    with pytest.MonkeyPatch.context() as patch:
        use_small_networks(patch)
        patch.setattr(inverter_module, "DIRECTION_SAMPLES", 600)
        patch.setattr(photo_runner, "SHEET_CELL", CELL)
        patch.setattr(photo_sheet, "SHEET_CELL", CELL)
        ticks = count(0, 2)
        patch.setattr(photo_runner, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))
        yield


@pytest.fixture(scope="module")
def toy():
    steps = ["inversion.w_steps=1", "inversion.canvas_steps=2"]
    profile = load_profile("configs/toy.yaml", [*steps, "blending.threshold=0.5"])
    torch.manual_seed(0)
    encoder = build_encoder(profile)
    return profile, encoder, make_networks(train_encoder=encoder)


@pytest.fixture(scope="module", autouse=True)
def builder(toy):
    """The builder of rows that all tests share, with everything that it has built."""
    profile, encoder, networks = toy
    shared = RowBuilder(profile, build_frozen(profile, encoder), networks, EvaluationOptions())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_tables, "build_frozen", lambda *_: shared.frozen)
        patch.setattr(photo_tables, "RowBuilder", lambda *_: shared)
        yield shared


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two faces: the astronaut, and its mirror image in a larger square."""
    folder, mirrored = tmp_path_factory.mktemp("faces"), astronaut().transpose(0)
    astronaut().save(folder / "astronaut.png")
    mirrored.save(folder / "mirrored.png")
    return [
        PhotoSample(folder / "astronaut.png", "a" * 64, Alignment.of(ASTRONAUT)),
        PhotoSample(folder / "mirrored.png", "b" * 64, square(285, 120, 240)),
    ]


def run(toy, folder, photos, table=TABLE):
    profile, encoder, networks = toy
    return evaluate_photos(
        profile, [table], photos, folder, encoder, networks, EvaluationOptions(natural_faces=0), PROVENANCE
    )


def figures(folder):
    lines = [json.loads(line) for line in (folder / "photos.jsonl").read_text().splitlines()]
    return {(line["row"], line["metric"], line["prompt"]): line for line in lines}


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def finished(toy, photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    assert run(toy, folder, photos) == folder / "photos.md"
    return folder


def test_more_of_an_inversion_is_closer_to_the_photo(finished):
    found = figures(finished)
    distances = [found[row, "inversion_l2", None]["value"] for row in ("mean face", "W+", WHOLE)]
    assert distances[0] > distances[1] > distances[2]
    assert found["no-op", "inversion_l2", None]["value"] == distances[0]
    assert found["encoder only", "inversion_l2", None]["value"] == pytest.approx(distances[0]), (
        "mean_face is the encoder"
    )
    psnr = [found[row, "inversion_psnr", None]["value"] for row in ("mean face", "W+", WHOLE)]
    assert psnr == sorted(psnr)
    assert {found[row, "inversion_seconds", None]["value"] for row in ROWS} == {2.0}


def test_figures_count_photos_and_edits_and_say_what_they_come_from(finished):
    found = figures(finished)
    line = found[WHOLE, "inversion_lpips", None]
    assert line["n"] == 2
    assert line["seed"] == 0
    assert line["quality"] == "good"
    assert line["photos"] == ["a" * 64, "b" * 64]
    assert {"low", "high", "config", "weights", "commit", "generator"} <= line.keys()
    assert found[WHOLE, "judge_gain", None]["n"] == 4
    assert found[WHOLE, "judge_gain", "red lips"]["n"] == 2
    assert {key[0] for key in found} == set(ROWS)


def test_only_what_is_put_back_into_the_photo_can_leak_and_does_not(finished):
    found = figures(finished)
    assert found[WHOLE, "photo_leak", None]["value"] == 0
    assert all(found[row, "photo_leak", None]["value"] is None for row in ROWS if row != WHOLE)
    assert found["no-op", "judge_gain", None]["value"] == 0
    assert found["mean face", "judge_gain", None]["value"] != 0


def test_the_page_keeps_the_numbers_of_other_papers_apart(finished):
    page = (finished / "photos.md").read_text()
    measured, printed = page.split("### As printed in the papers of others: another generator")
    assert "PTI" not in measured
    assert "| PTI (HyperStyle, Table 1) | 0.85 | 0.09 | 0.015 | 55.715 |" in printed
    assert "2 photos (astronaut, mirrored); 4 edits in each row, 2 of each photo" in measured
    assert "no fit reads it" in measured
    distance = tables.number("inversion_l2", figures(finished)[WHOLE, "inversion_l2", None]["value"])
    assert f"| inversion_l2 at most 0, mean over all photos | {distance} | NO | none |" in measured
    assert "| photo_leak at most 0, mean over all prompts | 0 | yes | none |" in measured
    assert "*W+ and canvas*, prompt by prompt" in measured
    assert "![photos-sheet](photos-sheet.png)" in page


def test_the_sheet_has_a_row_for_each_photo(finished):
    from PIL import Image

    width, height = Image.open(finished / "photos-sheet.png").size
    assert 5 * CELL < width < 7 * CELL, "photo, two inversions, two edits; names at their side"
    assert 2 * CELL < height < 3 * CELL


def test_a_stopped_run_ends_with_the_same_bytes(toy, photos, tmp_path, finished, monkeypatch):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    (tmp_path / "photos.md").unlink()
    next((tmp_path / "samples").glob(f"photos/mean-face-*/all-{photos[1].key}.safetensors")).unlink()
    next((tmp_path / "samples").glob(f"photos/no-op-*/p01-{photos[0].key}.safetensors")).unlink()
    made, inverted = [], PhotoRunner._inverted

    def stopping(self, row, sample, *rest):
        if made:
            raise KeyboardInterrupt
        made.append((row.label, sample.name))
        return inverted(self, row, sample, *rest)

    monkeypatch.setattr(PhotoRunner, "_inverted", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(toy, tmp_path, photos)
    assert made == [("no-op", "astronaut")]
    assert not (tmp_path / "photos.md").exists()
    made.clear()
    monkeypatch.setattr(PhotoRunner, "_inverted", lambda *rest: made.append(rest[2].name) or inverted(*rest))
    run(toy, tmp_path, photos)
    assert made == ["mirrored"]
    assert contents(tmp_path) == contents(finished)


def test_a_photo_that_comes_before_the_others_leaves_what_is_measured(toy, photos, tmp_path, monkeypatch):
    table = replace(TABLE, rows=TABLE.rows[:1])
    run(toy, tmp_path, photos[1:], table)
    made, inverted = [], PhotoRunner._inverted
    monkeypatch.setattr(PhotoRunner, "_inverted", lambda self, *rest: made.append(rest) or inverted(self, *rest))
    run(toy, tmp_path, photos, table)
    assert [sample.name for _, sample, *_ in made] == ["astronaut"]


@pytest.mark.parametrize("exact", [False, True])
def test_the_judge_sees_the_photo_where_the_inversion_is_exact_and_else_the_inversion(toy, photos, builder, exact):
    profile, encoder, networks = toy
    row, generator = builder.row(TABLE.rows[-1], plan_of(1)), builder.frozen.generator
    asked = prompt_batches(TABLE, plan_of(1), range(1))[0]
    sample = photos[0]
    photo = sample.read()
    face = crop(photo, sample.alignment, 32)
    residual = 0.1 * torch.ones(1, generator.site("16.conv1").channels, 16, 16) if exact else None
    with torch.no_grad():
        source = row.method.source(generator.w(generator.sample_z([3])), residual=residual)
        seen, shown = AnalysedImages(face, networks), AnalysedImages(source.image, networks)
        inverted = InvertedPhoto(photo, sample.alignment, seen, source, shown, 1.0)
        batch = edit_batch(row, build_conditions(profile, encoder), asked, inverted)
    assert batch.concepts == ("Wearing_Lipstick",)
    assert batch.before is (seen if exact else shown)
    assert batch.leak == (0 if exact else None)
    if exact:
        judged, drawn = ((image - face).abs().mean() for image in (batch.after.images, batch.edit.image))
        assert 0 < judged < 0.8 * drawn, "the photo, edited, and no picture of the generator"
    else:
        assert torch.equal(batch.after.images, batch.edit.image)


def test_an_evaluation_of_photos_is_one_call_from_python(toy, tmp_path, monkeypatch):
    astronaut().save(tmp_path / "a.png")
    astronaut().transpose(0).save(tmp_path / "b.png")
    monkeypatch.setattr(photo_samples, "choose", lambda photo: (PhotoFace(1, ASTRONAUT, ASTRONAUT[:2].flatten(), 1.0),))
    table = replace(TABLE, rows=TABLE.rows[:1], metrics=("inversion_l2", "photo_leak"), printed={})
    options, out = EvaluationOptions(photos=[tmp_path / "a.png"], quality="quick", natural_faces=0), tmp_path / "out"
    threads = torch.get_num_threads()
    assert evaluate_profile(toy[0], [table], out, "cpu", options) == [out / "photos.md"]
    assert torch.get_num_threads() == threads
    assert figures(out)["no-op", "inversion_l2", None]["quality"] == "quick"
    with pytest.raises(ValueError, match=r"would not have \(other photos\)"):
        evaluate_profile(toy[0], [table], out, "cpu", replace(options, photos=[tmp_path / "b.png"]))
    with pytest.raises(ValueError, match="is not there"):
        evaluate_profile(toy[0], [table], tmp_path / "new", "cpu", replace(options, photos=[tmp_path / "c.png"]))
    assert not (tmp_path / "new").exists()


def test_what_inverts_a_row_is_part_of_what_its_numbers_depend_on(toy, photos, builder, tmp_path):
    profile, encoder, networks = toy
    row = builder.row(TABLE.rows[-1], plan_of(1))
    assert as_dict(row.inversion) == as_dict(profile.inversion)
    assert builder.row(TABLE.rows[3], plan_of(1)).inversion == replace(profile.inversion, canvas_steps=0)

    def folder(changed, table=TABLE):
        runner = PhotoRunner(tmp_path, build_conditions(profile, encoder), networks, photos)
        return runner.store(table, changed).folder

    others = [replace(row, inversion=InversionConfig(w_steps=1)), replace(row, depends_on=["other weights"])]
    found = [folder(row), *map(folder, others), folder(row, replace(TABLE, quality="best"))]
    assert len(set(found)) == 4
    assert folder(row) == found[0]


def test_every_metric_is_of_an_inversion_or_of_an_edit():
    table = halves(PlannedTable(SHIPPED, plan_of(3), [], {}))
    parts = table.inversions.protocol.metrics, table.edits.protocol.metrics
    assert sorted(parts[0] + parts[1]) == sorted(SHIPPED.metrics)
    assert {name.split("_")[0] for name in parts[0]} == {"inversion"}
    assert not any(name.startswith("inversion") for name in parts[1])
    assert (table.inversions.plan.crossed, table.edits.plan.crossed) == (False, True)


def test_metrics_of_inversions_and_leaks_by_hand():
    networks = make_networks()
    batch = make_batch(2, networks=networks, edit=lambda x: x * 0)
    expected = torch.nn.functional.interpolate(
        batch.before.images, (256, 256), mode="bilinear", align_corners=False, antialias=True
    )
    assert METRICS.get("inversion_l2")(networks).measure(batch).allclose(expected.square().mean((1, 2, 3)))
    error = batch.before.images.square().mean((1, 2, 3))
    assert METRICS.get("inversion_psnr")(networks).measure(batch).allclose(10 * torch.log10(4 / error))
    leak = METRICS.get("photo_leak")(networks)
    leak.update(replace(batch, leak=0))
    leak.update(replace(make_batch(1, start=2, networks=networks), leak=3))
    leak.update(replace(make_batch(1, start=3, networks=networks), leak=None))
    assert leak.compute() == 3
    assert len(leak.valid_values()) == 3


def test_a_quality_that_is_asked_for_goes_before_that_of_the_protocol():
    other = replace(SHIPPED, name="faces", kind="edits")
    assert split([SHIPPED, other], None) == ([SHIPPED], [other])
    assert split([SHIPPED], "quick")[0][0].quality == "quick"


@pytest.mark.parametrize(
    ("changes", "photos", "reason"),
    [
        ({}, "ab", None),
        ({}, "abc", None),
        ({"commit": "other"}, "ab", None),
        ({"quality": "best"}, "ab", "another quality"),
        ({}, "a", "other photos"),
        ({"photos": None}, "ab", "other photos"),
        ({"seed": 7}, "ab", "another seed"),
        ({"weights": "x"}, "ab", "another weights"),
        ({"row": "W"}, "ab", "table photos, row W"),
        ({"protocol": "faces"}, "ab", "table faces, row W+"),
    ],
)
def test_a_page_does_not_replace_that_of_something_else(tmp_path, changes, photos, reason):
    line = {"protocol": "photos", "row": "W+", "seed": 0, "quality": "good", "photos": ["a", "b"]} | vars(PROVENANCE)
    (tmp_path / "photos.jsonl").write_text(json.dumps(line | changes) + "\n")
    if reason is None:
        check_earlier_photos(tmp_path, [SHIPPED], PROVENANCE, list(photos))
    else:
        with pytest.raises(ValueError, match=f"would not have \\({reason.replace('+', '.')}\\)"):
            check_earlier_photos(tmp_path, [SHIPPED], PROVENANCE, list(photos))
    check_earlier_photos(tmp_path, [], PROVENANCE, [])  # a run without photos leaves the page alone
