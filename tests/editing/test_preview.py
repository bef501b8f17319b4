"""The preview head: the generator's own tail at low resolution."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from where2edit.core.records import Edit
from where2edit.editing import preview_head as preview
from where2edit.editing.certificate import allowed_region
from where2edit.editing.rendering import render_blended
from where2edit.editor import Editor
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


def test_the_rgb_skip_of_stylegan2_is_a_head_of_its_own():
    """At an RGB site the small picture is there already: that of a source, and that of an edit outside its mask."""
    net, head = create(64, 1, seed=1), preview.Preview(preview.rgb_skip(), "32.rgb")
    with torch.no_grad():
        w = net.w(net.sample_z([0, 1]))
        source = preview.source_seen(net, w, head)
        whole = net.source(w)
        assert torch.equal(source.image, whole.rgb["32.rgb"]) and "64.rgb" not in source.rgb
        mask = torch.zeros(2, 1, 16, 16)
        mask[..., 6:9, 6:9] = 1
        other = net.styles(net.w(net.sample_z([2, 3])))
        seen = render_blended(net, source, Edit(styles=other, mask=mask), "16.conv1", preview=head).image
        full = render_blended(net, whole, Edit(styles=other, mask=mask), "16.conv1", keep_tail=True)
    assert torch.equal(seen, full.rgb["32.rgb"]) and not torch.equal(seen, source.image)
    changed = (seen != source.image).any(1, keepdim=True)
    assert not changed[~allowed_region(mask, net.halo("16.rgb", upto="32.rgb"), 32)].any()


def test_a_profile_gets_the_rgb_skip_by_its_site_alone():
    lively = ["preview_head.site=32.rgb", "training.use_preview_head=true"]
    frozen = Editor.load("configs/toy.yaml", lively, device="cpu").frozen
    assert frozen.preview(True).site == "32.rgb" and not list(frozen.preview_head.parameters())
    with pytest.raises(ValueError, match="RGB site of StyleGAN2"):
        Editor.load("configs/toy.yaml", device="cpu").frozen.preview(True)
