"""Contracts that every registered inversion encoder keeps, and those of single ones; all on a toy generator."""

import json

import pytest
import torch
import toy_cases as toy
from safetensors.torch import load_file
from torch import nn

from where2edit.backbones.e4e import E4E
from where2edit.files import manifest, tensorfile
from where2edit.generators.mobilestylegan import MobileStyleGAN
from where2edit.inversion import INVERSIONS
from where2edit.inversion.base import InversionConfig, InversionEncoder, build_inversion
from where2edit.inversion.face_encoder import FaceEncoder


class Brightness(nn.Module):
    """In place of e4e: each code follows the brightness of the picture."""

    def __init__(self, codes=6, width=512):
        super().__init__()
        self.register_buffer("latent_avg", torch.zeros(codes, width))

    def forward(self, images):
        return self.latent_avg + images.mean((1, 2, 3))[:, None, None]


def random_encoder(seed=0):
    """A FaceEncoder of the toy generator whose answers depend on the picture."""
    generator = toy.generator()
    torch.manual_seed(seed)
    encoder = FaceEncoder(generator.num_w)
    encoder.w_mean.copy_(generator.w_mean)
    for layer in (encoder.shared, encoder.outer):
        nn.init.normal_(layer.weight, std=0.1)
    encoder.scales.copy_(torch.linspace(1, 0.1, 512))
    return encoder.freeze()


def config(name, folder, monkeypatch):
    """The section that names an encoder, with small or random weights where it has any."""
    if name == "e4e":
        monkeypatch.setattr(E4E, "load", lambda path: Brightness())
    if name == "face_encoder":
        return InversionConfig(name, str(random_encoder().save(folder / "e.safetensors", toy.generator().name, {})))
    return InversionConfig(name)


@pytest.fixture(params=INVERSIONS.names())
def encoder(request, tmp_path, monkeypatch):
    return build_inversion(config(request.param, tmp_path, monkeypatch), toy.generator())


def faces(count=3, size=40):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_it_answers_codes_of_its_generator(encoder):
    generator = toy.generator()
    assert isinstance(encoder, InversionEncoder) and encoder.name in INVERSIONS.names()
    with torch.no_grad():
        w = encoder(faces())
        assert w.shape == (3, generator.num_w, generator.w_dim) and torch.isfinite(w).all()
        generator.styles(w)
        torch.testing.assert_close(encoder(faces()[1:2]), w[1:2], rtol=1e-4, atol=1e-4)
        assert encoder(faces(1, 24)).shape == w[:1].shape, "faces of any size are read"


def test_it_is_frozen_and_holds_no_generator(encoder):
    assert not encoder.training and not any(p.requires_grad for p in encoder.parameters())
    assert not any(module is toy.generator() for module in encoder.modules())


@pytest.mark.parametrize("wrong", [torch.zeros(3, 8, 8), torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 8, 8).int(), None])
def test_pictures_that_are_no_pictures_are_refused(encoder, wrong):
    with pytest.raises(ValueError, match=encoder.name):
        encoder(wrong)


def test_the_mean_face_is_the_generators():
    with torch.no_grad():
        w = build_inversion(InversionConfig("mean_face"), toy.generator())(faces())
    assert torch.equal(w, toy.generator().w_mean.expand_as(w))


@pytest.mark.parametrize(
    "section, said",
    [
        (InversionConfig("mean_fase"), "unknown inversion encoder 'mean_fase'; did you mean 'mean_face'"),
        (InversionConfig("mean_face", "w.safetensors"), "mean_face has none; leave it out"),
        (InversionConfig("mean_face", options={"steps": 3}), "unknown key 'inversion.options.steps'"),
        (InversionConfig("face_encoder", "nowhere.safetensors"), "no weights at nowhere.safetensors"),
    ],
)
def test_a_section_that_makes_no_sense_is_one_sentence(section, said):
    with pytest.raises(ValueError, match=said) as error:
        build_inversion(section, toy.generator())
    assert len(str(error.value)) <= 300


def test_an_e4e_of_another_size_is_refused(monkeypatch):
    monkeypatch.setattr(E4E, "load", lambda path: Brightness(18))
    with pytest.raises(ValueError, match=r"e4e's codes are \[18, 512\], 'stylegan2-16' needs \[6, 512\]; give"):
        build_inversion(InversionConfig("e4e"), toy.generator())


def test_a_face_encoder_comes_back_as_it_was_saved(tmp_path):
    encoder, generator = random_encoder(), toy.generator()
    path = encoder.save(tmp_path / "e.safetensors", generator.name, {"licence": "mine"})
    again = FaceEncoder.load(path, generator)
    assert torch.equal(again.w_mean, encoder.w_mean)
    with torch.no_grad():
        a, b = again(faces()) - generator.w_mean, encoder(faces()) - generator.w_mean
    assert b.std() > 0.01 and (a - b).norm() < 0.01 * b.norm(), "half precision"
    assert tensorfile.read_metadata(path, "face_encoder")["licence"] == "mine"


def test_coordinates_become_w_as_principal_directions_say():
    encoder = random_encoder()
    encoder.directions.copy_(torch.linalg.qr(torch.randn(512, 512, generator=torch.Generator().manual_seed(1))).Q)
    draw = torch.Generator().manual_seed(2)
    shared, offsets = torch.randn(2, 512, generator=draw), torch.randn(2, encoder.num_w, 32, generator=draw)
    w = encoder.w_of(shared, offsets)
    for code in range(encoder.num_w):
        own = shared.clone()
        own[:, :32] += offsets[:, code]
        expected = encoder.w_mean + (own * encoder.scales) @ encoder.directions.T
        torch.testing.assert_close(w[:, code], expected, rtol=1e-4, atol=1e-4)


def written(path, name=None, change=lambda state: None):
    """A file of a face encoder after `change` of its tensors."""
    state = {key: value.half() if key != "w_mean" else value for key, value in random_encoder().state_dict().items()}
    change(state)
    return tensorfile.write(path, state, "face_encoder", {"generator": name or toy.generator().name})


@pytest.mark.parametrize(
    "name, change, said",
    [
        ("mobilestylegan", lambda s: None, "is for 'mobilestylegan', the generator is 'stylegan2-16'"),
        (None, lambda s: s["w_mean"].add_(1), "is for other weights of 'stylegan2-16': its mean face differs"),
        (None, lambda s: s.pop("shared.bias"), "it lacks 'shared.bias'"),
        (None, lambda s: s.update({"outer.bias": torch.zeros(7)}), r"it holds 'outer.bias' \[7\], expected \[192\]"),
        (None, lambda s: s["scales"].fill_(float("nan")), "holds values that are not finite in 'scales'"),
    ],
)
def test_a_file_of_another_encoder_is_refused(tmp_path, name, change, said):
    with pytest.raises(ValueError, match=said) as error:
        FaceEncoder.load(written(tmp_path / "e.safetensors", name, change), toy.generator())
    assert len(str(error.value)) <= 300 + len(str(tmp_path))


@pytest.fixture(scope="module")
def shipped():
    return build_inversion(InversionConfig("face_encoder"), MobileStyleGAN.load())


def test_the_shipped_encoder_replays(shipped):
    """Two generated faces of the validation, whose codes are known."""
    replay = load_file(manifest.shipped("tests/replay/face-encoder-mobile.safetensors"))
    images = replay["images"].float() / 127.5 - 1
    with torch.no_grad():
        shared, offsets = shipped.coordinates(images)
        away, true = shipped(images) - shipped.w_mean, replay["w"][:, None] - shipped.w_mean
    torch.testing.assert_close(shared, replay["shared"], atol=0.02, rtol=0)
    torch.testing.assert_close(offsets, replay["offsets"], atol=0.02, rtol=0)
    assert ((away - true).square().sum((1, 2)) < 0.8 * shipped.num_w * true.square().sum((1, 2))).all()


def test_the_shipped_encoder_says_what_it_is():
    path = manifest.shipped("pretrained_models/face-encoder-mobile.safetensors")
    about = tensorfile.read_metadata(path, "face_encoder")
    assert about["generator"] == "mobilestylegan" and "non-commercial research" in about["licence"]
    figures = json.loads(about["figures"])
    assert figures["face_encoder"]["lpips_vgg_128"] < figures["mean_face"]["lpips_vgg_128"]
    assert path.stat().st_size <= 15_000_000
