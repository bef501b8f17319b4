"""IR-SE50 networks: e4e and ArcFace loaded from files of the official layout against an independent re-statement."""

import official_files as official
import pytest
import torch
import torch.nn.functional as F

from where2edit.backbones.arcface_ir_se50 import ArcFaceIRSE50
from where2edit.backbones.e4e import E4E
from where2edit.backbones.ir_se50 import IRSE50
from where2edit.files import formats

SMALL = official.SMALL_WIDTHS


def scaled(state):
    """Random convolutions brought to a variance that keeps 50 layers finite."""
    for value in state.values():
        if value.ndim == 4:
            value.mul_(value[0].numel() ** -0.5)
    return state


def norm(g, name, x):
    mean, var, weight, bias = (g[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
    shape = (1, -1, 1, 1) if x.ndim == 4 else (1, -1)
    return (x - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt() * weight.view(shape) + bias.view(shape)


def prelu(x, slope):
    return x.clamp(min=0) + slope.view(1, -1, 1, 1) * x.clamp(max=0)


def stages(g, x):
    """The outputs after body units 6, 20 and 23 of an official state dict in float64."""
    x = prelu(norm(g, "input_layer.1", F.conv2d(x, g["input_layer.0.weight"], padding=1)), g["input_layer.2.weight"])
    kept = []
    for i in range(24):
        name, stride = f"body.{i}", 2 if i in (0, 3, 7, 21) else 1
        if f"{name}.shortcut_layer.0.weight" in g:
            shortcut = F.conv2d(x, g[f"{name}.shortcut_layer.0.weight"], stride=stride)
            shortcut = norm(g, f"{name}.shortcut_layer.1", shortcut)
        else:
            shortcut = x[:, :, ::stride, ::stride]
        y = F.conv2d(norm(g, f"{name}.res_layer.0", x), g[f"{name}.res_layer.1.weight"], padding=1)
        y = prelu(y, g[f"{name}.res_layer.2.weight"])
        y = norm(g, f"{name}.res_layer.4", F.conv2d(y, g[f"{name}.res_layer.3.weight"], stride=stride, padding=1))
        gate = F.conv2d(y.mean((2, 3), keepdim=True), g[f"{name}.res_layer.5.fc1.weight"]).clamp(min=0)
        x = y * torch.sigmoid(F.conv2d(gate, g[f"{name}.res_layer.5.fc2.weight"])) + shortcut
        if i in (6, 20, 23):
            kept.append(x)
    return kept


def enlarge(x, size):
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=True)


def re_stated_codes(tree, images):
    """W+ codes of e4e at 256 px, all of its heads in use, from the official names."""
    g = {n.removeprefix("encoder."): v.double() for n, v in tree["state_dict"].items() if n.startswith("encoder.")}
    fine, middle, coarse = stages(g, images)
    p2 = enlarge(coarse, 32) + F.conv2d(middle, g["latlayer1.weight"], g["latlayer1.bias"])
    p1 = enlarge(p2, 64) + F.conv2d(fine, g["latlayer2.weight"], g["latlayer2.bias"])
    codes = []
    for i in range(tree["latent_avg"].shape[0]):
        x, j = coarse if i < 3 else p2 if i < 7 else p1, 0
        while x.shape[-1] > 1:
            weight, bias = g[f"styles.{i}.convs.{2 * j}.weight"], g[f"styles.{i}.convs.{2 * j}.bias"]
            x, j = F.leaky_relu(F.conv2d(x, weight, bias, stride=2, padding=1), 0.01), j + 1
        x = x.flatten(1)
        codes.append(x @ g[f"styles.{i}.linear.weight"].T / x.shape[1] ** 0.5 + g[f"styles.{i}.linear.bias"])
    w = codes[0][:, None].repeat(1, len(codes), 1)
    for i in range(1, len(codes)):
        w[:, i] += codes[i]
    return w + tree["latent_avg"].double()


@pytest.fixture(scope="module")
def e4e_file(tmp_path_factory):
    tree = official.e4e(32, SMALL, seed=1)
    scaled(tree["state_dict"])
    path = tmp_path_factory.mktemp("e4e") / "e4e_ffhq_encode.pt"
    torch.save(tree, path)
    return tree, path


@torch.no_grad()
def test_e4e_gives_the_re_stated_codes_from_both_files(e4e_file, tmp_path):
    tree, path = e4e_file
    images = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    expected = re_stated_codes(tree, images)
    assert expected.shape == (2, 8, SMALL[-1]) and expected.std(0).min() > 1e-6
    for file in (path, formats.convert("e4e", path, tmp_path / "e4e.safetensors")):
        encoder = E4E.load(file).double()
        torch.testing.assert_close(encoder(images), expected, rtol=1e-8, atol=1e-8)
    larger = F.interpolate(images, size=(512, 512), mode="nearest")
    assert encoder(larger).shape == expected.shape


def test_e4e_options_may_be_a_mapping_and_the_mean_one_code(e4e_file, tmp_path):
    tree, _ = e4e_file
    path = tmp_path / "official.pt"
    one = tree["latent_avg"][:1]
    torch.save(tree | {"opts": vars(tree["opts"]), "latent_avg": one}, path)
    assert torch.equal(formats.load("e4e", path)[0]["latent_avg"], one.expand(8, -1))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"opts": None}, "no options 'opts'"),
        ({"opts": {"stylegan_size": 32, "encoder_type": "GradualStyleEncoder"}}, "only Encoder4Editing is e4e"),
        ({"opts": {"stylegan_size": 33}}, "stylegan_size 33; allowed"),
        ({"opts": {"stylegan_size": 8}}, "8 code heads, but its stylegan_size 8 asks for 4"),
        ({"opts": {"stylegan_size": 64}}, "lacks 'encoder.styles.8.convs.0.weight'"),
        ({"latent_avg": torch.zeros(3)}, r"'latent_avg' \[3\], but e4e has \[8, 32\]"),
        ({"latent_avg": None}, "'latent_avg' NoneType"),
        ({"strange": 1}, "holds 'strange' beside 'state_dict'"),
        ({"state_dict": 1}, "no mapping 'state_dict'"),
    ],
)
def test_an_e4e_file_that_is_not_as_published_is_refused(change, words, e4e_file, tmp_path):
    torch.save(e4e_file[0] | change, tmp_path / "official.pt")
    with pytest.raises(ValueError, match=words):
        formats.load("e4e", tmp_path / "official.pt")


def test_full_size_networks_have_the_published_parameters():
    with torch.device("meta"):
        assert sum(p.numel() for p in ArcFaceIRSE50().parameters()) == 43_797_696
        encoder = E4E()
    assert sum(p.numel() for p in encoder.parameters()) == 267_136_704
    assert encoder.latent_avg.shape == (18, 512) and len(encoder.styles) == 18 and len(encoder.body) == 24


@torch.no_grad()
def test_arcface_gives_the_re_stated_embedding_of_the_released_crop(tmp_path):
    state = scaled(official.arcface(SMALL, seed=2))
    torch.save(state, tmp_path / "model_ir_se50.pth")
    path = formats.convert("arcface-ir-se50", tmp_path / "model_ir_se50.pth", tmp_path / "arcface.safetensors")
    network = ArcFaceIRSE50.load(path).double()
    images = torch.rand(2, 3, 512, 512, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    small = F.avg_pool2d(images, 2)
    crop = F.adaptive_avg_pool2d(small[:, :, 35:223, 32:220], (112, 112))
    torch.testing.assert_close(network.crop(images), crop)
    g = {name: value.double() for name, value in state.items()}
    x = norm(g, "output_layer.0", stages(g, crop)[-1]).flatten(1)
    x = norm(g, "output_layer.4", x @ g["output_layer.3.weight"].T + g["output_layer.3.bias"])
    expected = x / x.norm(dim=1, keepdim=True)
    torch.testing.assert_close(network(images), expected, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close((network(images) ** 2).sum(1), torch.ones(2, dtype=torch.float64))


def test_an_old_file_without_batch_counters_loads(tmp_path):
    state = {name: v for name, v in official.arcface(SMALL, seed=2).items() if "num_batches" not in name}
    torch.save(state, tmp_path / "official.pth")
    assert isinstance(ArcFaceIRSE50.load(tmp_path / "official.pth"), ArcFaceIRSE50)


def test_networks_stay_frozen_in_evaluation_mode_and_pass_gradients_to_images():
    torch.manual_seed(0)
    for network in (ArcFaceIRSE50(SMALL), E4E(8, SMALL)):
        network.train()
        assert not network.training and not any(p.requires_grad for p in network.parameters())
        images = torch.zeros(1, 3, 256, 256, requires_grad=True)
        network(images).square().sum().backward()
        assert images.grad.isfinite().all() and images.grad.abs().sum() > 0


@pytest.mark.parametrize("network", [ArcFaceIRSE50(SMALL), E4E(8, SMALL)], ids=["arcface", "e4e"])
@pytest.mark.parametrize(
    "images", [torch.zeros(3, 256, 256), torch.zeros(1, 1, 256, 256), torch.zeros(1, 3, 8, 8).int()]
)
def test_other_input_is_refused(network, images):
    with pytest.raises(ValueError, match=r"float images \[B,3,H,W\]"):
        network(images)


def test_widths_that_cannot_be_squeezed_are_refused():
    with pytest.raises(ValueError, match="4 numbers of at least 16"):
        IRSE50((8, 16, 32, 64))
