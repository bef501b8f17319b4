"""StyleGAN2: its counts, its two formulations, the site protocol and the halo that its kernels promise."""

import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from where2edit.core.config import build_section
from where2edit.generators import GENERATORS
from where2edit.generators.base import Canvas, GeneratorConfig
from where2edit.generators.stylegan2 import StyleGAN2, create, load, save


@pytest.fixture(scope="module")
def small():
    return create(32, 1, seed=3)


@pytest.fixture(scope="module")
def walked(small):
    with torch.no_grad():
        return small.source(small.w(small.sample_z(range(3))))


def on_meta(resolution, multiplier=2):
    with torch.device("meta"):
        return StyleGAN2(resolution, multiplier)


def count(parameters):
    return sum(parameter.numel() for parameter in parameters)


def test_config_f_has_the_published_sites_widths_and_parameters():
    generator = on_meta(1024)
    widths = [512] * 15 + [256] * 3 + [128] * 3 + [64] * 3 + [32] * 2
    assert [site.width for site in generator.sites] == widths
    assert len(generator.sites) == 26 and sum(site.width for site in generator.sites) == 9088 and generator.num_w == 18
    assert count(generator.synthesis_network.parameters()) + generator.constant.numel() == 28_268_812
    assert count(generator.mapping_network.parameters()) == 2_101_248
    assert count(generator.parameters()) == 30_370_060  # noise and w_mean are buffers and not counted
    assert generator.sites.index(generator.site("64.conv1")) == 12  # the paper's layer 13


def test_sites_are_named_in_execution_order(small):
    names = ["4.conv1", "4.rgb"] + [f"{r}.{role}" for r in (8, 16, 32) for role in ("conv0", "conv1", "rgb")]
    assert [site.name for site in small.sites] == names
    codes = [small.w_index(site) for site in small.sites]
    assert codes == [0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7] and small.num_w == 8


@pytest.mark.parametrize("resolution, halo", [(1024, 45), (512, 21), (256, 9), (128, 3)])
def test_halo_follows_from_the_kernels(resolution, halo):
    assert on_meta(resolution).halo("64.conv1") == halo


def test_every_size_and_both_multipliers_have_the_official_widths():
    for resolution in (8, 16, 32, 64, 128, 256, 512, 1024):
        for multiplier in (1, 2):
            last = on_meta(resolution, multiplier).sites[-1]
            assert last.resolution == resolution and last.width == min(512, 16384 * multiplier // resolution)


def test_scaled_activations_equal_modulated_weights_through_the_whole_synthesis():
    generator = create(16, seed=1).double()
    w = generator.w(generator.sample_z(range(2)))
    styles = {name: style.detach().requires_grad_() for name, style in generator.styles(w).items()}
    results = []
    for impl in ("fast", "reference"):
        generator.arithmetic.impl = impl
        image = generator.synthesis(styles)
        pull = torch.linspace(-1, 1, image.numel(), dtype=torch.float64).view_as(image)
        results.append([image, *torch.autograd.grad((image * pull).sum(), list(styles.values()))])
    for fast, reference in zip(*results, strict=True):
        assert (fast - reference).abs().max() <= 1e-10
        assert reference.abs().max() > 1e-3


def re_stated_layer(generator, site, x, w):
    """One styled convolution from the paper's text: modulate and demodulate the weight, convolve, blur, noise, bias."""
    prefix = f"synthesis_network.{site.name}."
    p = {name.removeprefix(prefix): t for name, t in generator.state_dict().items() if name.startswith(prefix)}
    style = w @ p["affine.weight"].T / math.sqrt(512) + p["affine.bias"]
    kernel = p["weight"] / math.sqrt(p["weight"][0].numel()) * style[None, :, None, None]
    kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
    if site.up == 2:
        stuffed = x.new_zeros(1, x.shape[1], 2 * x.shape[2] - 1, 2 * x.shape[3] - 1)
        stuffed[:, :, ::2, ::2] = x
        y = F.conv2d(F.pad(stuffed, (2, 2, 2, 2)), kernel.flip(2, 3))
        line = torch.tensor([1, 3, 3, 1], dtype=x.dtype) / 4
        y = F.pad(y, (1, 1, 1, 1))
        y = sum(line[i] * y[:, :, i : i + 2 * x.shape[2]] for i in range(4))
        y = sum(line[i] * y[:, :, :, i : i + 2 * x.shape[3]] for i in range(4))
    else:
        y = F.conv2d(F.pad(x, (1, 1, 1, 1)), kernel)
    y = y + p["noise_strength"] * p["noise"] + p["bias"][:, None, None]
    return math.sqrt(2) * torch.where(y > 0, y, 0.2 * y)


@pytest.mark.parametrize("name", ["8.conv0", "8.conv1"])
def test_a_layer_equals_its_re_statement(name):
    generator = create(8, seed=5).double()
    site = generator.site(name)
    w = generator.w(generator.sample_z([1]), truncation=1.0)[0, generator.w_index(site)]
    x = torch.randn(1, 512, 4 * (3 - site.up), 4 * (3 - site.up), dtype=torch.float64)
    y = generator.step(site, Canvas(x), generator.affine(site, w[None])).features
    torch.testing.assert_close(y, re_stated_layer(generator, site, x, w), rtol=1e-10, atol=1e-10)


def test_mapping_and_rgb_skip_equal_their_re_statement():
    generator = create(8, seed=5).double()
    z = generator.sample_z([4])
    x = z / (z.square().mean() + 1e-8).sqrt()
    for layer in generator.mapping_network:
        x = x @ layer.weight.T * (0.01 / math.sqrt(512)) + 0.01 * layer.bias
        x = math.sqrt(2) * torch.where(x > 0, x, 0.2 * x)
    torch.testing.assert_close(generator.mapping(z), x, rtol=1e-10, atol=1e-10)
    site, features, rgb = generator.site("8.rgb"), torch.randn(1, 512, 8, 8).double(), torch.randn(1, 3, 4, 4).double()
    style, layer = generator.affine(site, x), generator.layer(site)
    kernel = layer.weight[:, :, 0, 0] / math.sqrt(512) * style
    plain = torch.einsum("oi,bihw->bohw", kernel, features) + layer.bias[:, None, None]
    transposed = F.conv_transpose2d(rgb, 4 * generator.fir.double().expand(3, 1, 4, 4), stride=2, padding=1, groups=3)
    found = generator.step(site, Canvas(features, rgb), style).rgb
    torch.testing.assert_close(found, plain + transposed, rtol=1e-10, atol=1e-10)


def test_stylespace_and_site_by_site_give_the_w_plus_image_bit_for_bit(small, walked):
    with torch.no_grad():
        styles = small.styles(walked.w)
        canvas = small.start(3)
        for site in small.sites:
            canvas = small.step(site, canvas, styles[site.name])
        assert torch.equal(small.image(canvas), walked.image)
        assert torch.equal(small.synthesis(styles), walked.image)


def test_a_batch_equals_its_singles(small, walked):
    with torch.no_grad():
        singles = [small.synthesis({name: s[i : i + 1] for name, s in walked.styles.items()}) for i in range(3)]
    torch.testing.assert_close(walked.image, torch.cat(singles), rtol=1e-4, atol=1e-4)
    assert (walked.image[0] - walked.image[1]).abs().max() > 0.1


def test_the_seed_decides_every_byte(small):
    before = torch.get_rng_state()
    again, other = create(32, 1, seed=3), create(32, 1, seed=4)
    assert torch.equal(before, torch.get_rng_state())
    for name, tensor in small.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert not torch.equal(small.constant, other.constant)
    assert not any(parameter.requires_grad for parameter in small.parameters())


def test_noise_and_every_bias_reach_the_image(small, walked):
    touched = {name for name in small.state_dict() if name.endswith(("noise_strength", "bias")) and "synthesis" in name}
    assert len(touched) == 4 + 3 + 2 * 11
    generator = create(32, 1, seed=3)
    with torch.no_grad():
        for name in ("32.conv1", "8.conv0"):
            layer = generator.layer(generator.site(name))
            for tensor in (layer.noise_strength, layer.noise, layer.bias):
                kept = tensor.clone()
                tensor.add_(0.5)
                assert not torch.equal(generator.synthesis(walked.styles), walked.image)
                tensor.copy_(kept)
        assert torch.equal(generator.synthesis(walked.styles), walked.image)


def blended(generator, source, styles, mask, name, blend_rgb=True):
    """Edited trunk, features of `name` and the RGB skip of its resolution mixed by the mask, the source's tail."""
    canvas, resolution = generator.start(len(mask)), generator.site(name).resolution
    for site in generator.upto(f"{resolution}.rgb"):
        canvas = generator.step(site, canvas, styles[site.name])
        if site.name == name or (site.rgb and blend_rgb and site.resolution == resolution):
            kept = source.rgb[site.name] if site.rgb else source.features[site.name]
            canvas = canvas.rewrite(site, torch.where(mask, canvas.written(site), kept))
    return generator.tail(canvas, source.styles, f"{resolution}.rgb")


def reached(mask, resolution, halo):
    """Output pixels inside the mask grown by the halo."""
    cells = F.interpolate(mask.float(), size=resolution, mode="nearest")
    return F.max_pool2d(cells, 2 * halo + 1, stride=1, padding=halo) > 0


def leak(generator, source, styles, mask, name, blend_rgb=True):
    difference = (blended(generator, source, styles, mask, name, blend_rgb) - source.image).abs()
    outside = ~reached(mask, generator.resolution, generator.halo(name)).expand_as(difference)
    return difference[outside].max().item(), difference.max().item()


def test_nothing_outside_mask_and_halo_changes_and_the_halo_is_tight(small, walked):
    name, halo = "8.conv1", small.halo("8.conv1")
    source, edit = walked.take([0]), walked.take([1])
    with torch.no_grad():
        for seed in range(10):
            mask = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) < 0.05
            mask[0, 0, 0, seed % 8] = True
            outside, anywhere = leak(small, source, edit.styles, mask, name)
            assert outside == 0 and anywhere > 0
        assert leak(small, source, edit.styles, mask, name, blend_rgb=False)[0] > 0
        mask = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
        mask[..., 0, 0] = True
        changed = (blended(small, source, edit.styles, mask, name) != source.image).any(1)[0].nonzero().amax(0)
        assert changed.tolist() == [3 + halo, 3 + halo] and halo == 9


def test_mask_0_gives_the_source_and_mask_1_the_mixed_synthesis(small, walked):
    source, edit, mask = walked.take([0]), walked.take([1]), torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    mixed = {s.name: (edit if s.resolution <= 8 else source).styles[s.name] for s in small.sites}
    with torch.no_grad():
        assert torch.equal(blended(small, source, edit.styles, mask, "8.conv1"), source.image)
        assert torch.equal(blended(small, source, edit.styles, ~mask, "8.conv1"), small.synthesis(mixed))


def test_saved_weights_load_and_say_what_they_are(small, walked, tmp_path):
    save(small, tmp_path / "g.safetensors", licence="none")
    config = GeneratorConfig("stylegan2", str(tmp_path / "g.safetensors"), {"resolution": 32, "channel_multiplier": 1})
    loaded = build_section(GENERATORS, config, "generator")
    with torch.no_grad():
        assert torch.equal(loaded.synthesis(walked.styles), walked.image)
    assert torch.equal(loaded.w_mean, small.w_mean) and not any(p.requires_grad for p in loaded.parameters())
    config.options["resolution"] = 64
    with pytest.raises(ValueError, match="32 px with channel multiplier 1, but the config says 64"):
        build_section(GENERATORS, config, "generator")


def test_an_unknown_or_wrong_option_is_named_with_its_whole_key():
    with pytest.raises(ValueError, match=r"unknown key 'generator\.options\.resolutoin'; did you mean 'resolution'"):
        build_section(GENERATORS, GeneratorConfig("stylegan2", options={"resolutoin": 64}), "generator")
    with pytest.raises(ValueError, match=r"generator\.options\.resolution must be int, got str"):
        build_section(GENERATORS, GeneratorConfig("stylegan2", options={"resolution": "64"}), "generator")


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda state: state.pop("constant"), "lacks 'constant'"),
        (lambda state: state.update(extra=torch.zeros(1)), "holds 'extra'"),
        (lambda state: state.update(w_mean=torch.zeros(3)), r"holds 'w_mean' \[3\]"),
    ],
)
def test_a_file_with_a_wrong_tensor_is_refused_by_its_name(change, words, tmp_path):
    generator = create(8, 1)
    save(generator, tmp_path / "g.safetensors")
    state = load_file(tmp_path / "g.safetensors")
    change(state)
    described = {"format": "where2edit.stylegan2", "resolution": "8", "channel_multiplier": "1"}
    save_file(state, tmp_path / "g.safetensors", described)
    with pytest.raises(ValueError, match=words):
        load(tmp_path / "g.safetensors")


def test_wrong_sizes_and_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="resolution is 48; allowed: 8, 16"):
        create(48)
    with pytest.raises(ValueError, match=r"channel_multiplier is 3; allowed: 1 \(config E\) and 2"):
        create(8, 3)
    with pytest.raises(ValueError, match="no weights at"):
        load(tmp_path / "nothing")
    (tmp_path / "junk").write_bytes(b"\x80\x04junk")
    with pytest.raises(ValueError, match="is not a safetensors file"):
        load(tmp_path / "junk")
    save_file({"w": torch.zeros(1)}, tmp_path / "other", {"format": "pt"})
    with pytest.raises(ValueError, match="says format=pt"):
        load(tmp_path / "other")
    save_file({"w": torch.zeros(1)}, tmp_path / "unsized", {"format": "where2edit.stylegan2", "resolution": "big"})
    with pytest.raises(ValueError, match="says resolution='big', expected a number"):
        load(tmp_path / "unsized")


PEAK = """
import resource, torch
from where2edit.generators.stylegan2 import create
torch.set_num_threads(1)
generator = create(1024)
with torch.no_grad():
    image = generator.synthesis(generator.styles(generator.w(generator.sample_z([0]))))
assert image.shape == (1, 3, 1024, 1024) and image.isfinite().all() and image.std() > 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_a_1024_image_fits_into_4_gib_on_a_cpu():
    ran = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 4 * 2**20  # KiB
