"""The calibration of natural strength: unit embeddings of unedited faces, and what they were made with."""

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy

from where2edit.core.config import build_section
from where2edit.editing import cosine_calibration as calibration
from where2edit.editing import preview_head
from where2edit.editing.cosine_calibration import FIRST_SEED, CosineCalibration
from where2edit.editing.preview_head import Preview, source_seen
from where2edit.editor.build import build_encoder, build_generator
from where2edit.editor.profile import load_profile
from where2edit.files import assets, tensorfile
from where2edit.generators import GENERATORS
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.base import TextImageConfig

SHIPPED = "pretrained_models/calibration-mobile.safetensors"


@pytest.fixture(scope="module")
def measured():
    return calibration.measure(toy.generator(), toy.encoder(), None, 6, 0.7)


def test_the_spread_is_the_standard_deviation_of_the_cosines(measured):
    net = toy.generator()
    with torch.no_grad():
        faces = net.synthesis(net.styles(net.w(net.sample_z(range(FIRST_SEED, FIRST_SEED + 6)), 0.7)))
        cosines = toy.encoder().similarity(faces, list(toy.PROMPTS))  # [6,N]
    h = toy.encoder().text(list(toy.PROMPTS))
    assert torch.allclose(measured.spread(h), cosines.std(0), rtol=1e-3)
    assert torch.allclose(measured.spread(16 * h), measured.spread(h), rtol=1e-5), "the length of h has no influence"
    same = CosineCalibration(measured.embeddings[:1].expand(3, -1), {})
    assert (same.spread(h) > 0).all(), "equal faces must not make a rise infinite"
    with pytest.raises(ValueError, match="of N = 2 or more faces"):
        CosineCalibration(measured.embeddings[:1], {})


@pytest.mark.parametrize("share, examples", [(0.5, 3), (0.1, 1), (1.0, 6)])
def test_faces_stand_below_natural_examples_by_standard_deviations(measured, share, examples):
    h = toy.encoder().text(list(toy.PROMPTS))[:3]
    embeddings = measured.embeddings[[4, 0, 2]]
    found = measured.below_natural(embeddings, 7 * h, share)
    for row, (own, words) in enumerate(zip(embeddings, h, strict=True)):
        cosines = measured.embeddings @ words / words.norm()
        level = sum(sorted(cosines.tolist())[-examples:]) / examples
        expected = (level - own @ words / words.norm()) / cosines.std()
        assert found[row].item() == pytest.approx(expected.item(), rel=1e-3, abs=1e-4)


def test_what_was_saved_is_read_in_half_precision(measured, tmp_path):
    path = measured.save(tmp_path / "calibration.safetensors")
    read = CosineCalibration.load(path, toy.generator(), toy.encoder(), None)
    assert torch.allclose(read.embeddings, measured.embeddings, atol=1e-3)
    assert torch.allclose(read.embeddings.norm(dim=1), torch.ones(6))
    assert read.made_with | {"format": "x"} == measured.made_with | {"format": "x"}
    assert read.made_with["truncation"] == "0.7" and read.made_with["faces"] == "6"


def test_a_calibration_of_something_else_is_refused(measured, tmp_path):
    path = measured.save(tmp_path / "calibration.safetensors")
    other = build_section(TEXT_IMAGE, TextImageConfig(name="toy", options={"seed": 1}), "text_image")
    with pytest.raises(
        ValueError, match=r"was made with encoder sha256 \w{12}, here it is \w{12}; make the calibration"
    ):
        CosineCalibration.load(path, toy.generator(), other, None)
    with pytest.raises(ValueError, match="was made with generator stylegan2-16, here it is stylegan2-32"):
        CosineCalibration.load(path, toy.generator(32), toy.encoder(), None)
    with pytest.raises(ValueError, match="made with preview site full images, here it is 16.conv1; .*calibrate.py"):
        CosineCalibration.load(path, toy.generator(), toy.encoder(), Preview(torch.nn.Linear(1, 1), "16.conv1"))
    with pytest.raises(
        ValueError, match="no weights at .*absent.safetensors; make the calibration with scripts/calibrate"
    ):
        CosineCalibration.load(tmp_path / "absent.safetensors", toy.generator(), toy.encoder(), None)
    tensorfile.write(tmp_path / "other.safetensors", {"w": torch.zeros(1)}, "latent", {})
    with pytest.raises(ValueError, match="expected where2edit.calibration; make the calibration"):
        CosineCalibration.load(tmp_path / "other.safetensors", toy.generator(), toy.encoder(), None)


@torch.no_grad()
def test_a_canvas_is_seen_as_the_preview_head_sees_a_walk():
    generator = GENERATORS.get("mobilestylegan")()
    w = generator.w(generator.sample_z([0]))
    for site in ("64.conv1", "128.conv1"):
        preview = Preview(preview_head.from_generator(generator, site), site)
        expected = source_seen(generator, w, preview).image
        source = generator.source(w, upto="64.conv1")
        assert torch.equal(calibration.canvas_picture(generator, source, "64.conv1", preview), expected)
        assert expected.shape[2] == int(site.split(".")[0])


@torch.no_grad()
def test_the_shipped_calibration_replays():
    """Its metadata is the default profile's, and its first faces embed as they did when it was made."""
    profile = load_profile(toy.ROOT / "configs/mobile.yaml")
    assert profile.natural_strength.calibration == SHIPPED
    assert assets.shipped(SHIPPED).stat().st_size < 80_000
    generator, encoder = build_generator(profile), build_encoder(profile)
    head = preview_head.load(assets.shipped(profile.preview_head.weights))
    preview = Preview(head, profile.preview_head.site)
    shipped = CosineCalibration.load(assets.shipped(SHIPPED), generator, encoder, preview)
    assert shipped.embeddings.shape == (profile.natural_strength.faces, encoder.dim)
    assert shipped.made_with["truncation"] == repr(profile.generator.truncation)
    again = calibration.measure(generator, encoder, preview, 4, profile.generator.truncation)
    assert F.cosine_similarity(again.embeddings, shipped.embeddings[:4]).min() > 0.999
