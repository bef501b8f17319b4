"""Features after the blend site in bfloat16: how far pictures may be from float32, and that edits stay local."""

import pytest
import torch

from where2edit.core import devices
from where2edit.core.devices import resolve_dtype
from where2edit.core.records import Edit, TailLayer
from where2edit.editing.attention.base import AttentionConfig, build_attention
from where2edit.editing.blended_walk import blended_sites
from where2edit.editing.certificate import certify, halo
from where2edit.editing.rendering import render_blended
from where2edit.generators.base import Canvas
from where2edit.generators.mobilestylegan import MobileStyleGAN
from where2edit.generators.stylegan2 import create

# In standard deviations of the picture: largest and mean difference of a number of it. Measured with MobileStyleGAN on
# 11 faces, whose standard deviation is 0.5: 0.18 and 0.0027 in [-1,1] (docs/benchmarks.md).
MOST, MEAN = 0.4, 0.012
SEEDS = {"mobilestylegan": (MobileStyleGAN.load, "64.conv1"), "stylegan2": (lambda: create(128, 1, seed=1), "32.conv1")}
SEEDS["stylegan2, wide"] = (lambda: create(32, 2, seed=1), "8.conv1")  # weights that are too large to be folded


@pytest.fixture(scope="module", params=SEEDS)
def both(request):
    """A generator, its blend site and two faces, each in float32 and in bfloat16."""
    make, site = SEEDS[request.param]
    generator = make()
    exact, quick = [], []
    with torch.no_grad():
        for sources, after in ((exact, None), (quick, blended_sites(generator, site)[-1].name)):
            generator.bfloat16_after = after
            sources += [generator.source(generator.w(generator.sample_z([seed]))) for seed in (0, 1)]
    return generator, site, exact, quick


def test_pictures_are_close_to_those_of_float32(both):
    generator, site, exact, quick = both
    for one, other in zip(exact, quick, strict=True):
        difference = (one.image - other.image).abs() / one.image.std()
        assert 0 < difference.max() < MOST and difference.mean() < MEAN
        assert other.image.dtype == torch.float32


def test_only_features_after_the_blended_sites_are_bfloat16(both):
    generator, site, exact, quick = both
    last = blended_sites(generator, site)[-1].name
    for each in generator.upto(last):
        what = "rgb" if each.rgb else "features"
        assert torch.equal(getattr(exact[0], what)[each.name], getattr(quick[0], what)[each.name]), each.name
    for each in generator.after(last):
        written = (quick[0].rgb if each.rgb else quick[0].features)[each.name]
        assert written.dtype == (torch.float32 if each.rgb else torch.bfloat16), each.name


@torch.no_grad()
def test_steps_one_by_one_are_plain_synthesis(both):
    generator, _, _, quick = both
    assert torch.equal(generator.synthesis(quick[0].styles), quick[0].image)


@torch.no_grad()
@pytest.mark.parametrize("coloured", [False, True])
def test_edits_keep_the_source_s_bytes_outside(both, coloured):
    generator, site, exact, quick = both
    source, other = quick
    cells = generator.site(site).resolution
    mask = torch.zeros(1, 1, cells, cells)
    mask[..., cells // 4 : cells // 4 + 1, cells // 4 : cells // 4 + 1] = 0.7
    later = {each.name: other.styles[each.name] for each in generator.after(blended_sites(generator, site)[-1].name)}
    edit = Edit(styles=other.styles, mask=mask, tail=TailLayer(later, mask) if coloured else None)
    made = {windowed: render_blended(generator, source, edit, site, windowed=windowed) for windowed in (False, True)}
    for each in made.values():
        certificate = certify(source.image, each.image, mask, halo(generator, site))[0]
        assert certificate.leak_max == 0 and certificate.changed > 0
    apart = (made[True].image - made[False].image).abs() / source.image.std()
    assert apart.max() < MOST and apart.mean() < MEAN
    generator.bfloat16_after, after = None, generator.bfloat16_after
    slow = render_blended(generator, exact[0], edit, site, windowed=True)
    generator.bfloat16_after = after
    apart = (made[True].image - slow.image).abs() / source.image.std()
    assert 0 < apart.max() < MOST and apart.mean() < MEAN


def test_a_canvas_of_float32_is_read_too(both):
    generator, site, exact, quick = both
    last = blended_sites(generator, site)[-1].name
    canvas = Canvas(exact[0].features[site], exact[0].rgb.get(last))
    with torch.no_grad():
        assert torch.equal(generator.tail(canvas, exact[0].styles, last), quick[0].image)


@pytest.mark.parametrize("fast", [False, True])
def test_auto_is_bfloat16_where_it_is_fast(monkeypatch, fast):
    monkeypatch.setattr(devices.torch.cpu, "get_capabilities", lambda: {"amx_bf16": fast, "avx512_bf16": True})
    monkeypatch.setattr(devices.torch.cuda, "get_device_capability", lambda device: (8, 0) if fast else (7, 5))
    for device in ("cpu", "cuda:0"):
        assert resolve_dtype("auto", device) == ("bfloat16" if fast else "float32")
        assert [resolve_dtype(name, device) for name in ("float32", "bfloat16")] == ["float32", "bfloat16"]
    monkeypatch.setattr(devices.torch.cpu, "get_capabilities", dict)  # of another kind of processor
    assert resolve_dtype("auto", "cpu") == "float32"


@torch.no_grad()
@pytest.mark.parametrize("inputs", ["all", "trunk"])
def test_an_attention_over_all_sites_reads_them(both, inputs):
    generator, site, exact, quick = both
    attention = build_attention(generator, site, 16, AttentionConfig(options={"inputs": inputs, "bias": 0.0}))
    h = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    slow, fast = (attention(source.features, h) for source in (exact[0], quick[0]))
    assert fast.dtype == torch.float32 and torch.equal(slow, fast) == (inputs == "trunk")
    assert (slow - fast).abs().mean() < 0.002
