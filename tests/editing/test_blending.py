"""The blended walk: exact ends, exact locality, one blend per tensor."""

from dataclasses import replace

import pytest
import torch
import toy_cases as toy

from where2edit.editing.blended_walk import blend, blended_sites, blended_trunk, tail
from where2edit.editing.certificate import certify, halo
from where2edit.generators.stylegan2 import create


@pytest.fixture(scope="module")
def generator():
    return create(64, 1, seed=1)


def walked(generator, seeds, upto=None):
    with torch.no_grad():
        return generator.source(generator.w(generator.sample_z(seeds)), upto)


def other_styles(generator, seeds):
    return generator.styles(generator.w(generator.sample_z(seeds)))


def square(batch, size=16, low=6, high=9):
    mask = torch.zeros(batch, 1, size, size)
    mask[..., low:high, low:high] = 1
    return mask


def test_blend_is_exact_at_both_ends_and_keeps_the_gradient_there():
    draw = torch.Generator().manual_seed(0)
    edited, source = (1e3 * torch.randn(2, 5, 8, 8, generator=draw) for _ in range(2))
    mask = torch.zeros(2, 1, 8, 8).requires_grad_()
    assert torch.equal(blend(edited, source, mask), source)
    assert torch.equal(blend(edited, source, mask + 1), edited)
    expected = (edited - source).sum(1, keepdim=True)
    assert torch.equal(torch.autograd.grad(blend(edited, source, mask).sum(), mask)[0], expected)
    half = blend(edited, source, mask + 0.5)
    torch.testing.assert_close(half, (edited + source) / 2, rtol=0, atol=1e-3)


def test_each_tensor_is_blended_once(generator):
    """With M = 1/2 everywhere features and RGB are exactly half way; a second blend would make it a quarter."""
    source, styles = walked(generator, [0, 1]), other_styles(generator, [5, 6])
    mask = torch.full((2, 1, 16, 16), 0.5)
    with torch.no_grad():
        blended = blended_trunk(generator, source, styles, mask, "16.conv1")
        full = blended_trunk(generator, source, styles, mask * 2, "16.conv1")
        before = replace(blended.canvas, rgb=_rgb(generator, styles, "8.rgb"))
        rgb_step = generator.step(generator.site("16.rgb"), before, styles["16.rgb"]).rgb
    features = torch.lerp(source.features["16.conv1"], full.features["16.conv1"], 0.5)
    assert torch.equal(blended.canvas.features, features) and torch.equal(blended.features["16.conv1"], features)
    once = torch.lerp(source.rgb["16.rgb"], rgb_step, 0.5)
    assert torch.equal(blended.canvas.rgb, once) and torch.equal(blended.rgb["16.rgb"], once)
    twice = torch.lerp(source.features["16.conv1"], features, 0.5)
    assert not torch.allclose(blended.canvas.features, twice)


def _rgb(generator, styles, upto):
    canvas = generator.start(2)
    for site in generator.upto(upto):
        canvas = generator.step(site, canvas, styles[site.name])
    return canvas.rgb


def test_blending_conv0_leaves_conv1_alone_and_stays_local(generator):
    assert [s.name for s in blended_sites(generator, "16.conv0")] == ["16.conv0", "16.conv1", "16.rgb"]
    source, styles, mask = walked(generator, [0]), other_styles(generator, [5]), square(1)
    with torch.no_grad():
        blended, image = toy.blended_walk(generator, source, styles, mask, "16.conv0")
        before = replace(blended.canvas, features=blended.features["16.conv0"])
        alone = generator.step(generator.site("16.conv1"), before, source.styles["16.conv1"]).features
    assert torch.equal(blended.features["16.conv1"], alone)
    certificate = certify(source.image, image, mask, halo(generator, "16.conv0"))[0]
    assert certificate.local and certificate.changed > 0
    assert not certify(source.image, image, mask, halo(generator, "16.conv0") - 1)[0].local


def test_stopping_early_equals_the_whole_walk(generator):
    source, styles, mask = walked(generator, [0]), other_styles(generator, [5]), square(1)
    with torch.no_grad():
        trunk = blended_trunk(generator, source, styles, mask, "16.conv1")
        preview = tail(generator, source, trunk, upto="32.conv1")
        whole, image = toy.blended_walk(generator, source, styles, mask, "16.conv1", keep=True)
    assert trunk.after == "16.rgb" and preview.after == "32.conv1" and whole.after == "64.rgb"
    assert torch.equal(preview.canvas.features, whole.features["32.conv1"])
    assert list(preview.features) == ["16.conv1"] and list(preview.rgb) == ["16.rgb"]
    assert list(whole.features) == ["16.conv1", "32.conv0", "32.conv1", "64.conv0", "64.conv1"]
    assert torch.equal(image, generator.tail(trunk.canvas, source.styles, after="16.rgb"))


def test_sequential_edits_keep_the_first_edit_outside_the_second_mask(generator):
    source, site = walked(generator, [0]), "16.conv1"
    first, second = square(1, low=2, high=4), square(1, low=10, high=13)
    with torch.no_grad():
        blended, image = toy.blended_walk(generator, source, other_styles(generator, [5]), first, site, keep=True)
        features, rgb = {**source.features, **blended.features}, {**source.rgb, **blended.rgb}
        edited = replace(source, features=features, rgb=rgb, image=image)
        nothing, same = toy.blended_walk(generator, edited, source.styles, torch.zeros_like(first), site)
        _, both = toy.blended_walk(generator, edited, other_styles(generator, [6]), second, site)
    assert torch.equal(same, image)
    assert certify(image, both, second, halo(generator, site))[0].local
    assert not certify(source.image, both, second, halo(generator, site))[0].local


def test_gradients_reach_styles_and_mask_but_not_the_generator(generator):
    source = walked(generator, [0, 1])
    styles = {name: s.clone().requires_grad_() for name, s in other_styles(generator, [5, 6]).items()}
    mask = square(2).requires_grad_()
    toy.blended_walk(generator, source, styles, mask, "16.conv1")[1].square().sum().backward()
    assert (mask.grad != 0).float().mean() > 0.9  # closed cells too: what an open one would change
    reached = {name for name, s in styles.items() if s.grad is not None and s.grad.abs().sum() > 0}
    assert reached == {site.name for site in generator.upto("16.rgb")}
    assert all(p.grad is None for p in generator.parameters())


def test_walk_errors_teach(generator):
    source, styles = walked(generator, [0]), other_styles(generator, [5])
    with pytest.raises(ValueError, match="did you mean '16.conv1'"):
        blended_trunk(generator, source, styles, square(1), "16.conv3")
    with pytest.raises(ValueError, match="writes RGB, which is not local"):
        blended_trunk(generator, source, styles, square(1), "16.rgb")
    with pytest.raises(ValueError, match="mask must be \\[1,1,r,r\\]"):
        blended_trunk(generator, source, styles, square(2), "16.conv1")
    with pytest.raises(ValueError, match="upto='16.rgb'"):
        blended_trunk(generator, walked(generator, [0], upto="8.rgb"), styles, square(1), "16.conv1")
