"""The downloaded weights do what they are for; every comparison is with another program's reading of the same file."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from where2edit.backbones import arcface, inception
from where2edit.files import assets

pytestmark = pytest.mark.slow


def test_tensorflow_resize_equals_torch_fidelity():
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x as reference

    for size in (256, 1024, 64):
        x = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)) * 255
        expected = reference(x, size=(299, 299), align_corners=False)
        assert (inception.tensorflow_resize(x) - expected).abs().max() < 1e-3


def test_inception_equals_torch_fidelity(monkeypatch):
    """The TorchScript graph against torch-fidelity's own code, fed with the graph's tensors in order of execution."""
    import torch_fidelity.feature_extractor_inceptionv3 as fidelity

    monkeypatch.setattr(fidelity, "load_state_dict_from_url", lambda *a, **k: None)
    monkeypatch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
    reference = fidelity.FeatureExtractorInceptionV3("inception", ["2048"])
    ours = inception.Inception.load()
    state = ours.net.state_dict()
    convolutions = [m for m in reference.modules() if isinstance(m, fidelity.BasicConv2d)]
    names = [name.removesuffix(".weight") for name in state if name.endswith(".weight")]
    for module, name in zip(convolutions, names, strict=True):
        module.conv.weight.data.copy_(state[f"{name}.weight"])
        module.bn.weight.data.fill_(1)
        targets = {"beta": module.bn.bias.data, "mean": module.bn.running_mean, "var": module.bn.running_var}
        for source, target in targets.items():
            target.copy_(state[f"{name}.{source}"])
    noise = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    images = (F.interpolate(noise, (256, 256), mode="bicubic").clamp(0, 1) * 255).round()
    expected = reference(images.to(torch.uint8))[0]
    assert torch.allclose(ours(images / 127.5 - 1), expected, atol=1e-4)


def test_arcface_equals_onnxruntime():
    import onnxruntime

    path = assets.fetch("arcface-mbf")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = torch.rand(1, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    net = arcface.ArcFace.load(align="none")
    assert np.abs(net.net(x).numpy() - expected).max() < 1e-4
