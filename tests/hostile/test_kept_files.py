"""What is kept between runs and found damaged: made again, left out or refused in one sentence, no end for good."""

import json
import sys
import types

import pytest
import torch
from hostile_cases import one_sentence
from PIL import Image

from where2edit.core.sentences import one_sentence as shortened
from where2edit.evaluation import sample_sheet as sheets
from where2edit.evaluation.networks import real_features
from where2edit.evaluation.workers import share
from where2edit.facetext.material import validation_material
from where2edit.files import pictures, tensorfile, verified


def damaged(path):
    """Flip a bit of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def test_features_of_photos_that_are_damaged_are_made_again(tmp_path):
    (tmp_path / "real").mkdir()
    for number in range(2):
        Image.new("RGB", (16, 16), (90 * number, 0, 0)).save(tmp_path / f"real/{number}.png")

    class Networks(dict):
        device = "cpu"

    networks = Networks(inception=lambda image: image.mean((2, 3)).repeat(1, 700))
    first = real_features(tmp_path / "real", networks, tmp_path / "cache").clone()  # not a view of the file
    damaged(next((tmp_path / "cache").glob("real-*")))
    assert torch.equal(real_features(tmp_path / "real", networks, tmp_path / "cache"), first)


@pytest.mark.parametrize("broken", ["flipped", "empty", "text"])
def test_a_damaged_picture_of_a_sample_is_left_out_of_the_sheet(broken, tmp_path, monkeypatch):
    def picture(index, kind):
        return tmp_path / f"sheet-{index}-{kind}.png"

    for index in range(3):
        for kind in ("source", "mask"):
            pictures.save_png(torch.rand(3, 16, 16) * 2 - 1, picture(index, kind))
    wrong = picture(1, "mask")
    damaged(wrong) if broken == "flipped" else wrong.write_text("" if broken == "empty" else "text")
    store = types.SimpleNamespace(picture=picture)
    runner = types.SimpleNamespace(store=lambda protocol, row: store)
    protocol = types.SimpleNamespace(kind="masks", prompts=[types.SimpleNamespace(text=text) for text in "abc"])
    table = types.SimpleNamespace(protocol=protocol, rows=[None], plan=types.SimpleNamespace(sheet=3))
    drawn = []
    monkeypatch.setattr(pictures, "sheet", lambda rows, labels, *more: drawn.extend(labels) or Image.new("RGB", (9, 9)))
    with pytest.warns(UserWarning, match="left out: .*sheet-1-mask.png cannot be read"):
        assert sheets.sample_sheet(tmp_path / "page.png", runner, table) == tmp_path / "page.png"
    assert drawn == ["a", "c"]


@pytest.mark.parametrize("record", ["[" * 100_000, "{}", "", "null", '{"path": ' + "9" * 5000 + "}", "\0" * 99])
def test_a_damaged_record_of_what_was_verified_counts_for_nothing(record, tmp_path, monkeypatch):
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "weights"
    file.write_text("weights")
    verified.record_right("name", file, "sha")
    assert verified.known_right("name", file, "sha")
    (tmp_path / "cache/verified/name.json").write_text(record)
    assert not verified.known_right("name", file, "sha")
    verified.record_right("name", file, "sha")
    assert verified.known_right("name", file, "sha")


@pytest.mark.parametrize(
    "config", [None, "", "[]", "{", "[" * 9000, json.dumps({"junk": 1}), json.dumps({"config": {}})]
)
def test_a_report_on_weights_that_do_not_say_their_config_is_one_sentence(config, tmp_path):
    path = tensorfile.write(tmp_path / "w.safetensors", {"x": torch.zeros(2)}, "facetext", {"config": config or ""})
    with pytest.raises(ValueError, match="'config'|unknown key") as error:
        validation_material(path, tmp_path, tmp_path / "table.csv", tmp_path)
    one_sentence(shortened(str(error.value)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are not forked there")
def test_what_ends_a_process_of_an_evaluation_is_one_line_and_no_traceback(capfd):
    def work(number, processes):
        if number == 1:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="ended with code 2 .*the same command goes on"):
        share(work, 2)
    assert one_sentence(capfd.readouterr().err) == "error: [Errno 28] No space left on device\n"
