"""Fitting the preview head to the generator's own tail, and the shipped heads."""

from __future__ import annotations

import pytest
import torch

from where2edit.editing import preview_head as preview
from where2edit.files import assets
from where2edit.generators import GENERATORS
from where2edit.training import preview_fit

SITE, BLEND = "128.conv1", "64.conv1"


@pytest.fixture(scope="module")
def generator():
    return GENERATORS.get("mobilestylegan")()


def test_a_mixed_canvas_is_its_first_face_outside_one_rectangle(generator):
    """At the blend site itself the canvas differs from the first face in a rectangle, and nowhere else."""
    random = torch.Generator().manual_seed(4)
    canvas, styles = preview_fit.mixed_canvas(generator, BLEND, BLEND, random)
    first = generator.start(1)
    for site in generator.upto(BLEND):
        first = generator.step(site, first, styles[site.name])
    changed = (canvas.features != first.features).any(1)[0]
    rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
    assert len(rows) > 0 and len(columns) > 0 and not changed.all()
    assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].float().mean() > 0.99


def test_a_short_fit_improves_and_the_file_gives_the_same_head_back(generator, tmp_path):
    config = preview_fit.PreviewFitConfig(canvases=3, steps=60, batch=2, crop=32, lr=1e-4)
    canvases = preview_fit.collect(generator, SITE, BLEND, config)
    head = preview.from_generator(generator, SITE)
    before = preview_fit.quality(head, canvases, range(2))
    preview_fit.fit(head, canvases, config)
    after = preview_fit.quality(head, canvases, range(2))
    assert before > 22 and after > before
    preview.save(head, tmp_path / "head.safetensors", {"generator": generator.name})
    again = preview.load(tmp_path / "head.safetensors")
    assert preview_fit.quality(again, canvases, range(2)) == pytest.approx(after, abs=0.05)
    assert not any(p.requires_grad for p in again.parameters())


@pytest.mark.parametrize("name, site, decibel", [("preview-mobile", SITE, 30), ("preview-mobile-64", "64.conv1", 27)])
def test_the_shipped_heads_on_canvases_they_never_saw(name, site, decibel, generator):
    head = preview.load(assets.shipped(f"pretrained_models/{name}.safetensors"))
    config = preview_fit.PreviewFitConfig(canvases=3, seed=99)
    assert preview_fit.quality(head, preview_fit.collect(generator, site, BLEND, config), range(3)) >= decibel
