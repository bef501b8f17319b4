"""A real photo by the shipped editor, from its file to the written one: found, inverted, edited, put back."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from where2edit.backbones.facenet import FaceNet
from where2edit.backbones.judge import Judge
from where2edit.backbones.vgg import LPIPS
from where2edit.commands import edit
from where2edit.inversion.kept import read_kept
from where2edit.photos.alignment import crop
from where2edit.photos.photo import read_photo


@pytest.mark.slow
def test_the_astronaut_gets_glasses_and_stays_herself(monkeypatch, tmp_path):
    path = tmp_path / "astronaut.png"
    Image.fromarray(data.astronaut()).save(path)
    command = ["edit.py", "--photo", str(path), "--prompt", "eyeglasses", "--quality", "quick", "--assert-local"]
    monkeypatch.setattr("sys.argv", [*command, "--device", "cpu", "--out", str(tmp_path / "out")])
    assert edit.main("") == 0
    (kept,) = (read_kept(file) for file in (tmp_path / "out").glob("*-face1-quick-*.safetensors"))
    (written,) = (tmp_path / "out").glob("astronaut-eyeglasses-*-step1.png")
    before, after = read_photo(path), read_photo(written)
    changed = (before.pixels != after.pixels).any(2)
    assert 0.005 < changed.mean() < 0.05
    rows, columns = np.nonzero(changed)
    assert rows.min() > 60 and rows.max() < 160 and columns.min() > 160 and columns.max() < 300  # around her eyes
    seen, edited = (crop(photo, kept.alignment, 256) for photo in (before, after))
    judge, facenet = Judge.load(), FaceNet.load()
    assert judge.probability(edited, "Eyeglasses") > judge.probability(seen, "Eyeglasses") + 0.1
    with torch.no_grad():
        # Glasses cover what FaceNet looks at most; other faces have less than 0.5.
        assert (facenet(seen) * facenet(edited)).sum() > 0.6
        assert LPIPS.load()(seen, edited) < 0.15
