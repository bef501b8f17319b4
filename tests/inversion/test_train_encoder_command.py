"""scripts/train_encoder.py from pictures to a file, on the toy profile; the same command again changes nothing."""

import pytest
import toy_cases as toy
from hostile_cases import call
from photo_cases import astronaut

from where2edit.facetext.celeba import ATTRIBUTES
from where2edit.generators.stylegan2 import create
from where2edit.inversion.face_encoder import FaceEncoder

SMALL = ("steps=2", "generated=2", "photos=1", "material.generated=4", "material.photos=2", "material.validation=2")


@pytest.mark.slow
def test_a_run_ends_with_an_encoder_and_goes_on_from_where_it_is(tmp_path, monkeypatch, capsys):
    for i in range(3):
        astronaut().crop((140 + i, 20, 320, 240)).save(tmp_path / f"{i}.png")
    rows = [",".join(["image", *ATTRIBUTES])] + [",".join([f"{i}.png", *["0"] * 40]) for i in range(3)]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    views = ("view.site=32.rgb", "view.weights=null", "measured_at.site=32.rgb", "measured_at.weights=null")
    options = ["--data", tmp_path, "--attributes", tmp_path / "t.csv", "--out", tmp_path / "run", "--device", "cpu"]
    options += ["--config", toy.ROOT / "configs/face_encoder.yaml", "--profile", toy.ROOT / "configs/toy.yaml"]
    said = [call(monkeypatch, capsys, "train_encoder", *options, *SMALL, *views) for _ in range(2)]
    result = tmp_path / "run/face_encoder.safetensors"
    assert all(code == 0 and "| face_encoder | 0." in out for code, out, _ in said), said
    assert said[0][1] == said[1][1] and f"weights in {result}" in said[0][1]
    assert FaceEncoder.load(result, create(32, 1, 0)).num_w == 8
