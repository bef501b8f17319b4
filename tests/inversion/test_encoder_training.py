"""The training of the inversion encoder: its faces, its start, its steps and its figures, on a toy generator."""

import json
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
import toy_cases as toy
from photo_cases import ASTRONAUT, astronaut, photo_of
from PIL import Image

from where2edit.backbones.scrfd import FaceDetector
from where2edit.backbones.vgg import LPIPS
from where2edit.editing.preview_head import source_seen
from where2edit.facetext.celeba import ATTRIBUTES
from where2edit.inversion import encoder_material
from where2edit.inversion.encoder_config import FaceEncoderConfig, pace_at
from where2edit.inversion.encoder_material import (
    TRAIN_SEEDS,
    GeneratedFaces,
    framed_photo,
    framed_photos,
    generated_faces,
    photo_names,
)
from where2edit.inversion.encoder_report import COLUMNS, measure, table
from where2edit.inversion.encoder_start import start_shared, untrained
from where2edit.inversion.encoder_training import FaceEncoderTrainer, Networks, augmented
from where2edit.inversion.mean_face import MeanFace
from where2edit.inversion.views import ViewConfig, build_view
from where2edit.photos.alignment import Alignment, crop

SMALL = FaceEncoderConfig(
    ViewConfig("16.rgb"),
    ViewConfig("16.rgb"),
    generated=2,
    photos=1,
    steps=4,
    offset_rate=0.001,
    warmup=0.0,
    bfloat16=False,
)


def preview():
    return build_view(SMALL.view, toy.generator())


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    path = tmp_path_factory.mktemp("faces") / "generated.safetensors"
    return generated_faces(toy.generator(), preview(), TRAIN_SEEDS, 6, path)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """The state of an untrained encoder of the toy generator."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHERE2EDIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        return untrained(toy.generator(), 0)


@pytest.fixture(scope="module")
def lpips():
    torch.manual_seed(0)
    net = LPIPS()
    for i in range(5):
        getattr(net, f"head{i}").weight.data.abs_()
    return net


class Colours(torch.nn.Module):
    """In place of ArcFace: the mean colours of the four quarters."""

    def forward(self, images):
        return torch.nn.functional.normalize(torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1) + 2, dim=1)


def test_generated_faces_are_pictures_of_their_codes(faces):
    generator = toy.generator()
    assert faces.images.shape == (6, 3, 64, 64) and faces.images.dtype == torch.uint8
    with torch.no_grad():
        again = source_seen(generator, faces.w[3:4, None].expand(-1, generator.num_w, -1), preview()).image
        away = faces.w - generator.w_mean
        whole = generator.mapping(generator.sample_z(range(TRAIN_SEEDS, TRAIN_SEEDS + 6))) - generator.w_mean
    small = torch.nn.functional.interpolate(again, size=(64, 64), mode="bilinear", antialias=True)[0]
    assert (small.clamp(-1, 1) - (faces.images[3].float() / 127.5 - 1)).abs().max() < 0.01
    truncation = (away * whole).sum(1) / whole.square().sum(1)
    assert (truncation >= 0.5).all() and (truncation <= 1).all() and truncation.std() > 0.05


def test_faces_are_made_once_and_of_other_things_anew(tmp_path, monkeypatch):
    made, path = [], tmp_path / "g.safetensors"
    monkeypatch.setattr(encoder_material, "source_seen", lambda *a: made.append(1) or source_seen(*a))
    first = generated_faces(toy.generator(), preview(), 5, 2, path)
    again = generated_faces(toy.generator(), preview(), 5, 2, path)
    assert len(made) == 1 and torch.equal(first.images, again.images) and torch.equal(first.w, again.w)
    other = generated_faces(toy.generator(), preview(), 6, 2, path)
    assert len(made) == 2 and not torch.equal(other.w, first.w)


def test_a_photo_is_framed_as_the_photos_of_edits_are(tmp_path):
    astronaut().save(tmp_path / "a.png")
    Image.new("RGB", (80, 90), "grey").save(tmp_path / "nobody.png")
    detector = FaceDetector.load()
    found = framed_photo(tmp_path / "a.png", detector).float() / 127.5 - 1
    expected = crop(photo_of(astronaut()), Alignment.of(ASTRONAUT), 64)[0]
    assert (found - expected).abs().mean() < 0.1, "landmarks by one look differ by a pixel or two"
    assert framed_photo(tmp_path / "nobody.png", detector) is None


def test_pictures_without_a_face_are_left_out(tmp_path, monkeypatch, capsys):
    astronaut().save(tmp_path / "a.png")
    Image.new("RGB", (80, 90), "grey").save(tmp_path / "nobody.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    names, path = ["nobody.png", "a.png", "broken.png"], tmp_path / "framed.safetensors"
    photos = framed_photos(tmp_path, names, path)
    assert photos.shape == (1, 3, 64, 64)
    assert "left out" in "".join(capsys.readouterr())
    monkeypatch.setattr(encoder_material, "FaceDetector", None)
    assert torch.equal(framed_photos(tmp_path, names, path), photos), "kept in the file"


@pytest.mark.parametrize("names, said", [(["gone.png"], "no such file"), (["grey.png"], "none of the 1 pictures in")])
def test_a_folder_without_faces_is_one_sentence(tmp_path, names, said):
    Image.new("RGB", (80, 90), "grey").save(tmp_path / "grey.png")
    with pytest.raises(ValueError, match=said):
        framed_photos(tmp_path, names, tmp_path / "framed.safetensors")
    assert not (tmp_path / "framed.safetensors").exists()


def test_held_out_photos_are_those_that_facetext_holds_out(tmp_path):
    rows = [",".join(["image", *ATTRIBUTES])] + [",".join([f"{i}.jpg", *["0"] * 40]) for i in range(100)]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    trained, held_out = photo_names(tmp_path / "t.csv", 30, 5)
    assert len(trained) == 30 and len(held_out) == 5
    assert all(int(name[:-4]) % 10 == 0 for name in held_out) and all(int(name[:-4]) % 10 for name in trained)
    assert [len(part) for part in photo_names(tmp_path / "t.csv", 1000, 1000)] == [90, 10]


def test_augmented_faces_stay_close_and_in_range(faces):
    images = faces.images.float() / 127.5 - 1
    plain, strong = (augmented(images, share, torch.Generator().manual_seed(0)) for share in (0.0, 1.0))
    assert torch.equal(plain, augmented(images, 0.0, torch.Generator().manual_seed(0)))
    for each in (plain, strong):
        assert each.shape == images.shape and each.abs().max() <= 1
        assert 0 < (each - images).abs().mean() < 0.25
    assert not torch.equal(plain, strong)


def test_an_untrained_encoder_answers_the_mean_face(start, faces):
    with torch.no_grad():
        w = start(faces.images[:2].float() / 127.5 - 1)
    torch.testing.assert_close(w, toy.generator().w_mean.expand_as(w))
    torch.testing.assert_close(start.w_of(start.basis.coordinates(faces.w), torch.zeros(6, 6, 32))[:, 0], faces.w)


def test_the_start_is_the_ridge_regression_of_scikit_learn(start, faces):
    from sklearn.linear_model import Ridge

    encoder = deepcopy(start)
    start_shared(encoder, faces, 0.5)
    with torch.no_grad():
        features = encoder.features(faces.images.float() / 127.5 - 1).double()
        found = encoder.coordinates(faces.images.float() / 127.5 - 1)[0]
    inputs = ((features - features.mean(0)) / features.std(0).clamp_min(1e-3)).numpy()
    targets = start.basis.coordinates(faces.w).double().numpy()
    expected = Ridge(alpha=0.5 * len(inputs)).fit(inputs, targets).predict(inputs)
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(found.numpy(), expected, atol=0.02)


def trainer(start, faces, lpips, folder, **changes):
    photos = (faces.images[-1:].float() * 0.8).to(torch.uint8)
    networks = Networks(toy.generator(), preview(), lpips, Colours())
    config = replace(SMALL, **changes)
    return FaceEncoderTrainer(deepcopy(start), networks, faces, photos, config, folder)


def test_training_lowers_the_loss_and_resumes_to_the_same_bytes(start, faces, lpips, tmp_path):
    faces = GeneratedFaces(faces.images[:1], faces.w[:1])
    whole = trainer(start, faces, lpips, tmp_path / "whole")
    whole.run()
    parts = trainer(start, faces, lpips, tmp_path / "parts")
    parts.run(until=2)
    parts = trainer(start, faces, lpips, tmp_path / "parts")
    parts.run()
    assert all(torch.equal(a, b) for a, b in zip(whole.encoder.parameters(), parts.encoder.parameters(), strict=True))
    lines = [json.loads(line) for line in (tmp_path / "parts/train.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert {"codes", "lpips", "pixels", "identity", "offsets", "length", "loss"} <= lines[0].keys()
    assert lines[-1]["codes"] < 0.9 * lines[0]["codes"] and lines[-1]["loss"] < 0.9 * lines[0]["loss"]
    moved = [not torch.equal(a, b) for a, b in zip(start.parameters(), whole.encoder.parameters(), strict=True)]
    assert np.mean(moved) > 0.9 and not any(p.requires_grad for p in whole.networks.generator.parameters())


def test_every_parameter_learns_from_photos_alone(start, faces, lpips, tmp_path):
    run = trainer(start, faces, lpips, tmp_path)
    for layer in (run.encoder.shared, run.encoder.outer):
        torch.nn.init.normal_(layer.weight, std=0.01)
    terms = run.photo_terms(torch.Generator().manual_seed(0))
    sum(terms.values()).backward()
    still = [name for name, p in run.encoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still, still


def test_another_config_is_refused_and_a_longer_run_goes_on(start, faces, lpips, tmp_path):
    trainer(start, faces, lpips, tmp_path, steps=1).run()
    with pytest.raises(ValueError, match="belongs to another config"):
        trainer(start, faces, lpips, tmp_path, seed=1).resume()
    longer = trainer(start, faces, lpips, tmp_path, steps=2)
    longer.resume()
    assert longer.step == 1


def test_the_rate_climbs_and_falls():
    config = FaceEncoderConfig(steps=100, warmup=0.1)
    rates = [pace_at(step, config) for step in range(100)]
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert max(rates) == pytest.approx(1) and 0 < rates[-1] < 0.01 and rates[0] > 0


def test_the_figures_of_the_mean_face_and_of_the_truth(faces, lpips):
    generator = toy.generator()

    class Truth(MeanFace):
        def codes(self, images):
            same = ((images[:, None] + 1) * 127.5 - faces.images[None]).abs().amax((2, 3, 4)) < 0.5  # [B,N]
            return faces.w[same.int().argmax(1)][:, None].expand(-1, generator.num_w, -1)

    held = GeneratedFaces(faces.images[:2], faces.w[:2])
    mean, truth = (
        measure(each(generator.w_mean, generator.num_w), generator, preview(), held.images, held, lpips, Colours())
        for each in (MeanFace, Truth)
    )
    assert tuple(mean) == COLUMNS and mean["w_error"] == pytest.approx(1) and mean["w_cosine"] == 0
    assert truth["w_error"] == 0 and truth["w_cosine"] == pytest.approx(1)
    assert truth["l2_128"] < 1e-4 < mean["l2_128"] and truth["lpips_vgg_128"] < mean["lpips_vgg_128"]
    lines = table({"mean_face": mean, "truth": truth}).splitlines()
    assert len(lines) == 4 and lines[3].startswith("| truth | 0.00")
