"""The preview head: the generator's own tail at low resolution."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from where2edit.editing import preview_head as preview
from where2edit.generators import GENERATORS
from where2edit.generators.base import Canvas
from where2edit.generators.stylegan2 import create

SITE = "128.conv1"


@pytest.fixture(scope="module")
def generator():
    return GENERATORS.get("mobilestylegan")()


@pytest.fixture(scope="module")
def head(generator):
    return preview.from_generator(generator, SITE)


def test_the_untrained_head_is_the_tail_on_flat_features(generator, head):
    """With constant features and averaged noise the tail makes a flat picture away from the border: the head's."""
    quiet = GENERATORS.get("mobilestylegan")()
    for block in quiet.blocks.values():
        if hasattr(block, "noise"):
            block.noise.fill_(block.noise.mean())
    styles = quiet.styles(quiet.w(quiet.sample_z([0])))
    low = quiet.source(quiet.w(quiet.sample_z([0])), upto=SITE).features[SITE].mean((2, 3), keepdim=True)
    low[:, 64:] = 0  # the bands that an enlargement adds are not flat
    features = low.expand(-1, -1, 128, 128).contiguous()
    with torch.no_grad():
        ours = head(features, styles)[0, :, 64, 64]
        block = quiet.step(quiet.site("256.up"), Canvas(features), styles["256.up"])
        assert block.features[0, :, 100:140, 100:140].std((1, 2)).max() < 1e-4
        image = quiet.tail(Canvas(features), styles, after=SITE)[0, :, 400:600, 400:600]
    # The bands of the 512 px enlargement are not zero, so that pixels differ, but not by much on average.
    assert (image.mean((1, 2)) - ours).abs().max() < 0.25


def test_what_has_no_preview_is_refused(tmp_path):
    toy = create(128, 1)
    with pytest.raises(ValueError, match="has no preview"):
        preview.from_generator(toy, SITE)
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="expected where2edit.preview"):
        preview.load(tmp_path / "other.safetensors")
