"""The contracts of docs/architecture.md over every registered generator; a new one comes under them by itself."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy

from where2edit.core.config import build_section
from where2edit.core.records import Edit, Source, TailLayer
from where2edit.editing import blended_walk as walk
from where2edit.editing import windowed_tail
from where2edit.editing.blended_walk import blended_trunk, has_rgb_skip
from where2edit.editing.certificate import certify, halo
from where2edit.editing.masks import BlendingConfig, make_mask
from where2edit.editing.rendering import render_blended
from where2edit.generators import GENERATORS
from where2edit.generators.base import CONSTANT, Generator, GeneratorConfig

MASKS = 20


def test_an_incomplete_generator_cannot_be_made():
    class Incomplete(Generator):
        def mapping(self, z):
            return z

    with pytest.raises(TypeError, match="abstract"):
        Incomplete()


@dataclass
class Case:
    registered: str  # its name in the registry
    generator: Generator
    site: str  # where it is blended
    source: Source  # one sample
    styles: dict[str, torch.Tensor]  # of another sample
    image: torch.Tensor  # of the other sample


def build(name):
    """The generator at 128 px with random weights, or as it is where it comes in one size only."""
    try:
        options = {"resolution": 128, "channel_multiplier": 1, "seed": 1}
        return build_section(GENERATORS, GeneratorConfig(name, options=options), "generator")
    except ValueError:
        return build_section(GENERATORS, GeneratorConfig(name), "generator")


@pytest.fixture(scope="module", params=GENERATORS.names())
def case(request):
    generator = build(request.param)
    site = "32.conv1" if generator.resolution == 128 else "64.conv1"
    with torch.no_grad():
        w = generator.w(generator.sample_z([0, 1]))
        source, other = (generator.source(w[i : i + 1]) for i in range(2))
    return Case(request.param, generator, site, source, other.styles, other.image)


def expand(styles, batch):
    return {name: style.expand(batch, -1) for name, style in styles.items()}


def random_masks(batch, size, seed=0):
    """Blurred masks of a few random ellipses, with fractional values inside."""
    draw = torch.Generator().manual_seed(seed)
    at = torch.arange(size) + 0.5
    centre, radius = (
        torch.rand(2, batch, 3, generator=draw) * size,
        1 + torch.rand(2, batch, 3, generator=draw) * size / 8,
    )
    y, x = ((at - centre[i][..., None]) / radius[i][..., None] for i in range(2))
    inside = (y.square()[..., :, None] + x.square()[..., None, :] < 1).float()  # [B,3,size,size]
    level = 0.8 + 0.2 * torch.rand(batch, 3, 1, 1, generator=draw)
    return make_mask((inside * level).amax(1, keepdim=True), BlendingConfig())


def cells(case):
    return case.generator.site(case.site).resolution


@torch.no_grad()
def edit(case, mask):
    batch = len(mask)
    return toy.blended_walk(case.generator, case.source.repeat(batch), expand(case.styles, batch), mask, case.site)[1]


def test_sites_tell_the_truth(case):
    source, names = case.source, [site.name for site in case.generator.sites]
    assert len(set(names)) == len(names) and case.generator.sites[-1].rgb
    assert list(source.styles) == names and {CONSTANT, *source.features, *source.rgb} == {CONSTANT, *names}
    for site in case.generator.sites:
        written = (source.rgb if site.rgb else source.features)[site.name]
        assert written.shape == (1, site.channels, site.resolution, site.resolution)
        assert source.styles[site.name].shape == (1, site.width) and site.name.startswith(f"{site.resolution}.")
    assert source.image.shape == (1, 3, case.generator.resolution, case.generator.resolution)


@torch.no_grad()
def test_walking_the_sites_equals_synthesis(case):
    generator, source = case.generator, case.source
    assert torch.equal(generator.synthesis(source.styles), source.image)
    trunk = generator.source(source.w, upto=case.site)
    assert trunk.image is None and torch.equal(trunk.features[case.site], source.features[case.site])


def test_mask_of_zeros_gives_the_source(case):
    assert torch.equal(edit(case, torch.zeros(1, 1, cells(case), cells(case))), case.source.image)


@torch.no_grad()
def test_mask_of_ones_gives_plain_synthesis_with_the_edit_before_the_blend(case):
    generator = case.generator
    edited = generator.upto(walk.blended_sites(generator, case.site)[-1].name)
    mixed = {**case.source.styles, **{site.name: case.styles[site.name] for site in edited}}
    image = edit(case, torch.ones(1, 1, cells(case), cells(case)))
    assert torch.equal(image, generator.synthesis(mixed))
    assert not torch.equal(image, case.source.image) and not torch.equal(image, case.image)


def test_nothing_leaks_for_random_masks(case):
    """Batches of four against a source image of a batch of one: neither the mask nor the batch may show outside."""
    reach, masks = halo(case.generator, case.site), random_masks(MASKS, cells(case))
    certificates = []
    for mask in masks.split(4):
        certificates += certify(case.source.image.expand(len(mask), -1, -1, -1), edit(case, mask), mask, reach)
    assert len(certificates) == MASKS
    assert [certificate.leak_max for certificate in certificates] == [0.0] * MASKS
    assert all(0 < c.mask_area <= c.allowed_area < 1 and 0 < c.changed <= c.allowed_area for c in certificates)


@torch.no_grad()
def layered(case, mask, share=None):
    """The source in the colours of another sample: a tail layer under the mask, and the source's own styles before."""
    last = walk.blended_sites(case.generator, case.site)[-1].name
    later = case.generator.sites[len(case.generator.upto(last)) :]
    share = torch.ones(1, 1, 1, 1) if share is None else share
    layer = TailLayer({site.name: case.styles[site.name] for site in later}, share)
    edit = Edit(styles=case.source.styles, mask=mask, tail=layer)
    return render_blended(case.generator, case.source, edit, case.site)


def test_nothing_leaks_from_a_tail_layer(case):
    reach, image = halo(case.generator, case.site), case.source.image
    for mask in random_masks(3, cells(case), seed=1).split(1):
        certificate = certify(image, layered(case, mask).image, mask, reach)[0]
        assert certificate.leak_max == 0 and 0 < certificate.changed <= certificate.allowed_area < 1


def test_a_tail_layer_without_a_mask_gives_the_source_bit_for_bit(case):
    zeros = torch.zeros(1, 1, cells(case), cells(case))
    for mask, share in ((zeros, None), (zeros + 1, zeros)):
        assert torch.equal(layered(case, mask, share).image, case.source.image)


@torch.no_grad()
def test_the_windowed_tail_is_the_whole_tail_and_copies_what_is_outside(case):
    """Masks of several parts, at the borders of the picture, in a batch, with the colours of a tail layer, and none."""
    masks = random_masks(2, cells(case), seed=2)
    masks[1:, :, :2, :3] = masks[1:, :, -1:, -9:] = 1
    masks = torch.cat([masks, 0 * masks[:1]])
    repeated, reach = case.source.repeat(len(masks)), halo(case.generator, case.site)
    last = walk.blended_sites(case.generator, case.site)[-1].name
    later = case.generator.sites[len(case.generator.upto(last)) :]
    tail = TailLayer({site.name: expand(case.styles, len(masks))[site.name] for site in later}, torch.ones(1, 1, 1, 1))
    for layer in (None, tail):
        proposed = Edit(styles=expand(case.styles, len(masks)), mask=masks, tail=layer)
        whole, windowed = (
            render_blended(case.generator, repeated, proposed, case.site, windowed=windowed).image
            for windowed in (False, True)
        )
        assert (whole - windowed).abs().max() <= 1e-4 and not torch.equal(windowed[0], windowed[1])
        assert all(each.local for each in certify(repeated.image, windowed, masks, reach))
        assert torch.equal(windowed[2:], case.source.image)


@torch.no_grad()
def test_a_window_that_is_too_narrow_is_noticed(case, monkeypatch):
    """The mutation that the test above must catch: each enlargement sees two cells less than it needs."""
    mask = torch.zeros(1, 1, cells(case), cells(case))
    mask[..., 9:12, 9:14] = 1
    proposed, widely = Edit(styles=case.styles, mask=mask), windowed_tail.needed

    def narrowly(generator, after, window, *shown):
        found = widely(generator, after, window, *shown)
        return found.grown(-2).joined(window.at(found.cells))

    whole = render_blended(case.generator, case.source, proposed, case.site).image
    monkeypatch.setattr(windowed_tail, "needed", narrowly)
    narrow = render_blended(case.generator, case.source, proposed, case.site, windowed=True).image
    assert (whole - narrow).abs().max() > 1e-3


def test_the_measured_halo_is_the_computed_one(case):
    size, resolution = cells(case), case.generator.resolution
    mask, cell = torch.zeros(1, 1, size, size), resolution // size
    mask[0, 0, size // 2, size // 2] = 1
    changed = ((edit(case, mask) - case.source.image) != 0).amax((0, 1))
    first, last = size // 2 * cell, (size // 2 + 1) * cell - 1
    reached = []
    for axis in range(2):
        at = changed.amax(axis).nonzero().flatten()
        reached += [first - int(at.min()), int(at.max()) - last]
    assert max(reached) == halo(case.generator, case.site), reached


def test_an_unblended_rgb_skip_leaks(case, monkeypatch):
    """The mutation that the locality test must catch: only the features are blended."""
    if not has_rgb_skip(case.generator):
        pytest.skip("this generator reads the picture out once and has no RGB skip")
    mask, both = random_masks(1, cells(case)), walk.blend
    monkeypatch.setattr(walk, "blend", lambda e, s, m: e if e.shape[1] == 3 else both(e, s, m))
    certificate = certify(case.source.image, edit(case, mask), mask, halo(case.generator, case.site))[0]
    assert not certificate.local and certificate.leak_max > 1e-3


def test_unblended_features_leak(case, monkeypatch):
    mask, both = random_masks(1, cells(case)), walk.blend
    monkeypatch.setattr(walk, "blend", lambda e, s, m: both(e, s, m) if e.shape[1] == 3 else e)
    certificate = certify(case.source.image, edit(case, mask), mask, halo(case.generator, case.site))[0]
    assert not certificate.local and certificate.leak_max > 1e-3


@torch.no_grad()
def test_blending_a_tensor_twice_is_noticed(case, monkeypatch):
    """Twice is exact at 0 and 1 but squares a fractional mask: the canvas must be M of the way, not M * M."""
    generator, source, both = case.generator, case.source, walk.blend
    size = cells(case)
    half, ones = torch.full((1, 1, size, size), 0.5), torch.ones(1, 1, size, size)

    def features(mask):
        return blended_trunk(generator, source, case.styles, mask, case.site).features[case.site]

    def is_half_way():
        return torch.equal(features(half), torch.lerp(source.features[case.site], features(ones), 0.5))

    assert is_half_way()
    monkeypatch.setattr(walk, "blend", lambda e, s, m: both(both(e, s, m), s, m))
    assert torch.equal(edit(case, ones * 0), source.image) and not is_half_way()


def test_frozen_stays_frozen_and_the_gradient_passes_through(case):
    generator = case.generator
    assert not generator.training and not any(p.requires_grad for p in generator.parameters())
    styles = {name: style.clone().requires_grad_() for name, style in case.styles.items()}
    mask = random_masks(1, cells(case)).requires_grad_()
    image = toy.blended_walk(generator, case.source, styles, mask, case.site)[1]
    F.avg_pool2d(image, 8).square().mean().backward()
    assert all(p.grad is None for p in generator.parameters())
    assert mask.grad.abs().sum() > 0
    edited = walk.blended_sites(generator, case.site)[-1].name
    assert all(styles[site.name].grad.abs().sum() > 0 for site in generator.upto(edited))


@torch.no_grad()
def test_same_seed_same_bytes(case):
    generator = case.generator
    assert torch.equal(generator.source(case.source.w).image, case.source.image)
    torch.manual_seed(123)
    again = build(case.registered)
    mine, theirs = generator.state_dict(), again.state_dict()
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert torch.equal(generator.sample_z([3, 4])[1:], generator.sample_z([4]))


@torch.no_grad()
def test_truncation_pulls_to_the_mean(case):
    generator = case.generator
    z = generator.sample_z([0])
    assert torch.equal(generator.w(z, 0.0), generator.w_mean.expand(1, generator.num_w, -1))
    torch.testing.assert_close(generator.w(z, 1.0)[:, 0], generator.mapping(z))


@torch.no_grad()
def test_dtype_comes_from_the_tensors(case):
    generator = build(case.registered).double()
    last = walk.blended_sites(generator, case.site)[-1].name
    source = generator.source(case.source.w.double(), upto=last)
    mask = random_masks(1, cells(case)).double()
    trunk = blended_trunk(generator, source, {k: v.double() for k, v in case.styles.items()}, mask, case.site)
    assert trunk.canvas.features.dtype == torch.float64
    expected = blended_trunk(case.generator, case.source, case.styles, mask.float(), case.site).canvas.features
    torch.testing.assert_close(trunk.canvas.features.float(), expected, rtol=1e-3, atol=1e-3)


def test_errors_teach(case):
    with pytest.raises(ValueError, match=f"did you mean '{case.site}'"):
        case.generator.site(case.site + "x")
    with pytest.raises(ValueError, match=f"must be \\[B,{case.generator.num_w},512\\]"):
        case.generator.styles(case.source.w[:, :2])
