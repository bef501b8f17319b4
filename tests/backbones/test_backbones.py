"""Backbones with random weights: shapes, gradients, errors, and equality with independent statements."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from where2edit.backbones import face_parsing, vgg
from where2edit.backbones.preprocess import Normalise, area_resize, load_strictly, resize


def images(batch=2, size=64, seed=0, width=None):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, size, width or size, generator=draw) * 2 - 1


@pytest.fixture(scope="module")
def lpips_weights():
    """Random convolutions and positive heads, in the layout of the asset."""
    torch.manual_seed(0)
    net = vgg.LPIPS()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * (parameter[0].numel() ** -0.5))
            if name.startswith("head"):
                parameter.abs_()
    return net


def test_normalise_is_imagenet_on_0_1():
    x = images()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert torch.allclose(Normalise()(x), ((x + 1) / 2 - mean) / std, atol=1e-6)


@pytest.mark.parametrize(("height", "width", "size"), [(96, 96, 21), (50, 70, 32), (30, 30, 45)])
def test_area_resize_is_enlarge_then_pool(height, width, size):
    x = images(1, height, width=width).double()
    enlarged = x.repeat_interleave(size, 2).repeat_interleave(size, 3)
    pooled = F.avg_pool2d(enlarged, (height, width))
    assert torch.allclose(area_resize(x, size), pooled, atol=1e-5)


def test_resize_leaves_the_right_size_alone():
    x = images(size=32)
    assert resize(x, 32) is x


def test_strict_loading_names_what_does_not_fit():
    net = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match="a file does not fit Linear: it lacks 'bias'.* and holds 'other'"):
        load_strictly(net, {"weight": torch.zeros(2, 2), "other": torch.zeros(1)}, "a file")
    with pytest.raises(ValueError, match=r"holds 'weight' \[3, 2\], expected \[2, 2\]"):
        load_strictly(net, {"weight": torch.zeros(3, 2), "bias": torch.zeros(2)}, "a file")


def test_parser_shapes_and_gradient():
    parser = face_parsing.FaceParser(64)
    x = images(size=48, width=80).requires_grad_()
    probabilities = parser.probabilities(x)
    assert probabilities.shape == (2, 19, 64, 64)
    assert torch.allclose(probabilities.sum(1), torch.ones(2, 64, 64), atol=1e-5)
    parser.share(x, "hair").sum().backward()
    assert x.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in parser.parameters())
    labels = parser.labels(x)
    assert labels.dtype == torch.int64 and torch.equal(labels, probabilities.argmax(1))


def test_parser_stays_in_evaluation_mode():
    parser = face_parsing.FaceParser(64)
    torch.nn.Sequential(parser).train()
    assert not any(module.training for module in parser.modules())


def test_regions_cover_every_class():
    named = {name for group in face_parsing.GROUPS.values() for name in group}
    assert named == set(face_parsing.CLASSES)
    labels = torch.arange(19)
    assert face_parsing.region_mask(labels, "lips", "hair").nonzero().flatten().tolist() == [12, 13, 17]
    with pytest.raises(ValueError, match="unknown face region 'hairs'; did you mean 'hair'"):
        face_parsing.region_mask(labels, "hairs")


@pytest.mark.parametrize("bad", [torch.zeros(3, 8, 8), torch.zeros(1, 4, 8, 8), torch.ones(1, 3, 8, 8).byte(), 3])
def test_backbones_refuse_what_is_no_image(bad):
    for read in (face_parsing.FaceParser(64).labels, vgg.PerceptualFeatures(vgg.VGG16())):
        with pytest.raises(ValueError, match=r"float images \[B,3,H,W\]"):
            read(bad)
    with pytest.raises(ValueError, match="multiple of 32"):
        face_parsing.FaceParser(100)


def independent_lpips(weights):
    """torchmetrics' own LPIPS network with our random weights under torchvision's names."""
    from torchmetrics.functional.image.lpips import _LPIPS

    net = _LPIPS(pretrained=False, net="vgg", pnet_rand=True)
    layers = [layer for part in range(1, 6) for layer in getattr(net.net, f"slice{part}")]
    convolutions = [layer for layer in layers if isinstance(layer, torch.nn.Conv2d)]
    for i, convolution in enumerate(convolutions):
        convolution.load_state_dict(getattr(weights.vgg, f"conv{i}").state_dict())
    for i, head in enumerate(net.lins):
        head.model[-1].weight.data.copy_(getattr(weights, f"head{i}").weight)
    return net


def test_lpips_equals_torchmetrics(lpips_weights):
    reference = independent_lpips(lpips_weights)
    a, b = images(seed=1), images(seed=2)
    expected = reference(a, b).flatten()
    assert torch.allclose(lpips_weights(a, b), expected, rtol=1e-5)
    assert lpips_weights(a, a).abs().max() == 0
    assert torch.allclose(lpips_weights.map(a, b).mean((1, 2, 3)), expected, rtol=0.05)


def test_lpips_gradient_and_errors(lpips_weights):
    a = images(1, 32).requires_grad_()
    lpips_weights(a, images(1, 32, seed=3)).sum().backward()
    assert a.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="one shape"):
        lpips_weights(images(1, 32), images(2, 32))


def test_perceptual_features(lpips_weights):
    features = vgg.PerceptualFeatures(lpips_weights.vgg, size=32)
    x = images(size=32).requires_grad_()
    out = features(x)
    assert out.shape == (2, 128, 16, 16)
    expected = x
    for i, name in enumerate(("conv0", "conv1", "conv2", "conv3")):
        layer = getattr(lpips_weights.vgg, name)
        expected = F.max_pool2d(expected, 2) if i == 2 else expected
        expected = F.relu(F.conv2d(expected, layer.weight, layer.bias, padding=1))
    assert torch.allclose(out, expected, atol=1e-5)
    assert not torch.allclose(vgg.PerceptualFeatures(lpips_weights.vgg, size=32, normalise=True)(x), out)
    with pytest.raises(ValueError, match="no layer 'relu9'"):
        lpips_weights.vgg(x, ("relu9",))


def test_vgg_reads_the_asset_layout(tmp_path, lpips_weights):
    import pickle

    def hwio(weight):
        return np.ascontiguousarray(weight.numpy().transpose(2, 3, 1, 0))

    tree = {"VGG16_0": {}} | {f"NetLinLayer_{i}": {} for i in range(5)}
    for i in range(13):
        layer = getattr(lpips_weights.vgg, f"conv{i}")
        tree["VGG16_0"][f"Conv_{i}"] = {"kernel": hwio(layer.weight), "bias": layer.bias.numpy()}
    for i in range(5):
        tree[f"NetLinLayer_{i}"] = {"Conv_0": {"kernel": hwio(getattr(lpips_weights, f"head{i}").weight)}}
    path = tmp_path / "vgg16.ckpt"
    path.write_bytes(pickle.dumps(tree))
    a, b = images(1, 32), images(1, 32, seed=5)
    assert torch.equal(vgg.LPIPS.load(path=path)(a, b), lpips_weights(a, b))
    del tree["NetLinLayer_4"]
    path.write_bytes(pickle.dumps(tree))
    with pytest.raises(ValueError, match="lacks 'head4"):
        vgg.LPIPS.load(path=path)
