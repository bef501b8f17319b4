"""The tail in ONNX Runtime: the same picture, and one sentence where there is none."""

import importlib.util

import pytest
import torch
import toy_cases as toy

from where2edit.commands.benchmarks import onnx_tail
from where2edit.commands.benchmarks.onnx_tail import exported_tail
from where2edit.commands.benchmarks.subjects import ONNX, EditSubject, with_onnx
from where2edit.core.records import Source
from where2edit.editing.blended_walk import unedited
from where2edit.generators.mobilestylegan import MobileStyleGAN

BLEND_SITE = "256.conv1"  # a late one, after which a tail is quick


@pytest.fixture(scope="module")
def mobile():
    """MobileStyleGAN with small random numbers, and a source that stands at the blend site."""
    generator, draw = MobileStyleGAN(), torch.Generator().manual_seed(0)
    for name, buffer in generator.named_buffers():
        buffer.copy_(torch.randn(buffer.shape, generator=draw) * (1.0 if name == "constant" else 0.1))
    generator.freeze()
    styles = {site.name: 1 + torch.randn(1, site.width, generator=draw) / 10 for site in generator.sites}
    channels = generator.site(BLEND_SITE).channels
    features = {BLEND_SITE: torch.randn(1, channels, 256, 256, generator=draw)}
    return generator, Source(torch.zeros(1, generator.num_w, 512), styles, features)


needs_onnx = pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="onnx is a test-only dependency")


@needs_onnx
def test_the_tail_is_the_same_picture(mobile):
    generator, source = mobile
    blended = unedited(generator, source, BLEND_SITE)
    image = torch.from_numpy(exported_tail(generator, source, BLEND_SITE)())
    torch.testing.assert_close(image, generator.tail(blended.canvas, source.styles, blended.after), atol=1e-4, rtol=0)


@needs_onnx
def test_another_picture_is_no_row(mobile, monkeypatch):
    monkeypatch.setattr(onnx_tail, "_runtime", lambda graph, inputs: lambda: torch.ones(1).numpy())
    with pytest.raises(ValueError, match="its picture differs by .*, more than 0.001"):
        exported_tail(*mobile, BLEND_SITE)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_a_package_the_row_is_left_out_with_one_sentence(missing, mobile, monkeypatch):
    generator, source = mobile
    found = lambda name: None if name == missing else object()  # noqa: E731
    monkeypatch.setattr(onnx_tail.importlib.util, "find_spec", found)
    with pytest.raises(ValueError, match=f"{missing} is not installed, requirements-test.txt pins it"):
        exported_tail(generator, source, BLEND_SITE)
    built = toy.method()
    subject = with_onnx(EditSubject("toy", built, source, 16, lambda mask: None, lambda m: None))
    assert ONNX not in subject.before and subject.notes[0].startswith("No row of ONNX Runtime: ")


def test_a_tail_with_an_rgb_skip_is_refused(monkeypatch):
    monkeypatch.setattr(onnx_tail.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(ValueError, match="reads an RGB skip"):
        exported_tail(toy.generator(32), toy.sources((0,), 32), "16.conv1")
