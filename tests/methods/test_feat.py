"""FEAT: each equation on a case that can be worked out by hand, what trains, and the leak of `leaky`."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy

from where2edit.commands.train import build_trainer
from where2edit.editing.certificate import certify, halo
from where2edit.editing.latent_mapper import LatentMapper
from where2edit.editor.profile import load_profile
from where2edit.methods import METHODS
from where2edit.methods.base import MethodConfig
from where2edit.methods.feat import AttentionNetwork, FeatOptions
from where2edit.training.losses.base import LossConfig

ROOT = toy.ROOT


def feat(frozen=None, seed=0, **options):
    torch.manual_seed(seed)
    return METHODS.get("feat")(frozen or toy.frozen(), MethodConfig("feat", options))


def test_f1_the_mapper_adds_its_scaled_networks_to_the_codes_up_to_the_blend_site():
    """With identity layers M(w) is PixelNorm and a scaled leaky ReLU per layer, worked out on one number of w."""
    generator = toy.generator()
    sites = generator.upto("16.conv1")
    mapper = LatentMapper(generator, sites, layers=1, lr_mul=1.0, scale=0.25)
    for network in mapper.networks:
        network[0].weight.data = torch.eye(512) / network[0].gain
    w = torch.zeros(1, generator.num_w, 512)
    w[:, :, 0], w[:, :, 1] = 3.0, -3.0
    added = mapper(w)
    assert set(added) == {0, 1, 2, 3, 4} and len(mapper.networks) == 2  # coarse: codes 0 to 3; medium: code 4
    length = 3 / math.sqrt((9 + 9) / 512)
    for each in added.values():
        assert each[0, 0].item() == pytest.approx(0.25 * math.sqrt(2) * length, rel=1e-4)
        assert each[0, 1].item() == pytest.approx(-0.25 * math.sqrt(2) * 0.2 * length, rel=1e-4)
        assert not each[0, 2:].any()


def test_f1_the_styles_are_those_of_the_shifted_codes():
    method, source = feat(), toy.sources((0, 1))
    condition = toy.condition(n=2, per_source=2, strength=0.5)
    with torch.no_grad():
        edit, added = method.propose(source, condition), method.latent_mapper(source.w)
        w = source.w.clone()
        for code, each in added.items():
            w[:, code] += 0.5 * each
        expected = toy.generator().styles(w)
    for site in toy.generator().upto("16.conv1"):
        own = expected[site.name].repeat_interleave(2, 0)
        assert torch.allclose(edit.styles[site.name], own, atol=1e-5) and not torch.equal(
            own[::2], source.styles[site.name]
        )
    later = toy.generator().after("16.conv1")
    assert all(torch.equal(edit.styles[s.name], source.styles[s.name].repeat_interleave(2, 0)) for s in later)
    lengths = torch.stack([0.5 * each.norm(dim=1) for each in added.values()], 1).repeat_interleave(2, 0)
    assert torch.allclose(edit.shift, lengths)


def test_f2_the_attention_is_a_sigmoid_of_all_features_up_to_the_blend_site():
    """Two maps of one channel: the 8 px one is enlarged, both are added."""
    sites = [site for site in toy.generator().upto("16.conv1") if site.convolution][-3:]
    sites = tuple(replace(site, channels=1) for site in (sites[0], sites[-1]))
    network = AttentionNetwork(sites, FeatOptions(channels=1, bias=0.5))
    with torch.no_grad():
        for layer in network.first:
            layer.weight.fill_(1 / layer.gain)
        network.last.weight.copy_(torch.tensor([[2.0, -1.0]]) / network.last.gain)
    low, high = torch.randn(1, 1, 8, 8), torch.randn(1, 1, 16, 16)
    a, b = (F.leaky_relu(x, 0.2) * math.sqrt(2) for x in (low, high))
    expected = torch.sigmoid(2 * F.interpolate(a, (16, 16), mode="bilinear", align_corners=False) - b + 0.5)
    assert torch.allclose(network({sites[0].name: low, sites[1].name: high}), expected, atol=1e-6)


def test_f3_the_features_at_the_blend_site_are_mixed_by_the_mask():
    method, source = feat(toy.frozen(blur=1, threshold=0.0)), toy.sources()
    condition = toy.condition(per_source=1, strength=1.0)
    with torch.no_grad():
        edit = method(source, condition)
        whole = method.render(source, edit.with_(mask=torch.ones_like(edit.mask)))
    assert torch.equal(edit.mask, edit.attention)
    own, changed = source.features["16.conv1"], whole.features["16.conv1"]
    assert torch.allclose(edit.features["16.conv1"], edit.mask * changed + (1 - edit.mask) * own, atol=1e-5)


def test_the_layer_is_the_blend_site_of_the_profile():
    method = feat(toy.frozen(blend="8.conv1"))
    assert set(method.latent_mapper.group) == {0, 1, 2} and method.attention.inputs[-1] == "8.conv1"


@pytest.fixture(scope="module")
def leaks():
    """One cell of the mask is open on 16 px, blended at 8 px: the edit with and without a blended RGB skip."""
    source, condition, found = toy.sources(), toy.condition(per_source=1, strength=1.0), {}
    for leaky in (False, True):
        method = feat(toy.frozen(blend="8.conv1"), leaky=leaky, scale=1.0)
        with torch.no_grad():
            edit = method.propose(source, condition)
            edit = edit.with_(mask=F.pad(torch.ones(1, 1, 1, 1), (0, 7, 0, 7)))
            made, seen = method.render(source, edit), method.render(source, edit, use_preview_head=True)
        reach = halo(method.frozen.generator, "8.conv1")
        found[leaky] = made, seen, certify(source.image, made.image, made.mask, reach, method.local)[0]
    return found


WRITTEN = (("features", "8.conv1"), ("rgb", "8.rgb"))


def test_with_a_blended_rgb_skip_nothing_leaks_and_without_it_everything_does(leaks):
    (safe, _, promised), (leaky, _, measured) = leaks[False], leaks[True]
    assert promised.promised and promised.local and promised.leak_max == 0
    assert not measured.promised and not measured.local and measured.leak_max > 0.01
    assert measured.changed > 0.99 > promised.changed
    difference = {name: (getattr(safe, name)[site] - getattr(leaky, name)[site]).abs().max() for name, site in WRITTEN}
    assert difference["features"] < 1e-4 and difference["rgb"] > 0.01, "the features are blended in both, RGB is not"


def test_a_leaky_edit_keeps_as_much_of_a_photo_as_any_other():
    w, site, made = toy.sources().w, "8.conv1", []
    residual = 0.3 * torch.randn(toy.sources().features[site].shape, generator=torch.Generator().manual_seed(0))
    for leaky in (False, True):
        method = feat(toy.frozen(blend=site), leaky=leaky)
        with torch.no_grad():
            source = method.source(w, residual=residual)
            edit = method.propose(source, toy.condition(per_source=1, strength=1.0))
            made.append(method.render(source, edit.with_(mask=F.pad(torch.ones(1, 1, 8, 4), (0, 4)))))
    safe, leaky = made
    assert torch.allclose(safe.residual[site], leaky.residual[site], atol=1e-5)
    assert torch.allclose(safe.features[site], leaky.features[site], atol=1e-4)
    assert torch.equal(leaky.residual[site][..., 4:], residual[..., 4:]) and leaky.residual[site][..., :4].norm() > 1


def test_a_leaky_preview_is_a_picture_too(leaks):
    assert leaks[True][1].image.shape == leaks[False][1].image.shape


def test_a_generator_without_an_rgb_skip_cannot_leak():
    class Plain:
        sites, name = toy.generator().sites[:1], "plain"

    with pytest.raises(ValueError, match=r"'plain' has no RGB skip that could leak; set method.options.leaky=false"):
        feat(replace(toy.frozen(), generator=Plain()), leaky=True)


STEPS = 10
LOSSES = {"clip_distance": 1.0, "style_delta": 0.02, "attention_area": 0.005, "total_variation": 0.04}


def test_a_short_training_lowers_the_loss_and_moves_its_own_parameters_only(tmp_path):
    method = feat(toy.frozen(resolution=8, threshold=0.0, blur=1), layers=2, channels=4)
    losses = {name: LossConfig(weight) for name, weight in LOSSES.items()}
    toy.check_short_training(method, losses, tmp_path, STEPS, lr=0.01, strength=1.0)


@pytest.mark.parametrize("name", ["feat", "feat_ffhq"])
def test_its_profiles_use_its_losses_and_nothing_of_the_method_of_the_paper(name):
    profile = load_profile(ROOT / f"configs/methods/{name}.yaml")
    assert (profile.method.name, profile.training.mode, profile.method.weights) == ("feat", "one_prompt", None)
    assert {each for each, entry in profile.losses.items() if entry.weight} == {*LOSSES, "identity"}
    assert not profile.natural_strength.calibration and not profile.reads_region_shares
    with pytest.raises(ValueError, match="unknown key 'method.options.channel'; did you mean 'channels'"):
        load_profile(ROOT / f"configs/methods/{name}.yaml", ["method.options.channel=3"])


@pytest.mark.slow
@pytest.mark.parametrize("site", ["32.conv1", "64.conv1"])
def test_on_the_paper_s_generator_nothing_leaks_and_every_parameter_has_a_gradient(site):
    """StyleGAN2 of 128 px with random weights; the two layers are those of coarse and fine edits."""
    method, source = feat(toy.frozen(resolution=128, blend=site, blur=1)), toy.sources((0,), 128)
    edit = method(source, toy.condition(per_source=1, strength=1.0))
    edit.image.square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in method.latent_mapper.parameters())
    cells = edit.mask.shape[-1]
    mask = F.pad(torch.ones(1, 1, 2, 2), (0, cells - 2, 0, cells - 2))
    with torch.no_grad():
        made = method.render(source, edit.with_(mask=mask))
    certificate = certify(source.image, made.image, mask, halo(method.frozen.generator, site))[0]
    assert certificate.local and 0 < certificate.changed <= certificate.allowed_area < 0.5


@pytest.mark.slow
def test_the_default_profile_makes_a_step(tmp_path):
    profile = load_profile(ROOT / "configs/methods/feat.yaml")
    run = build_trainer(profile, tmp_path, "one step", "cpu", None, True, ["a beard", "bangs"])
    start = {name: p.detach().clone() for name, p in run.method.named_parameters()}
    run.step = 100  # past the warm-up
    values = run.train_step()
    assert {f"losses.{name}" for name in (*LOSSES, "identity")} <= set(values) and values["mask"] > 0
    assert all(not torch.equal(p, start[name]) for name, p in run.method.named_parameters())
