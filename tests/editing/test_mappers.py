"""The mapping module against an independent statement of the released recipe, and the principal directions of W."""

import math
from dataclasses import replace

import pytest
import torch
import toy_cases as toy

from where2edit.core.registry import NoOptions
from where2edit.editing.mappers.base import MapperConfig, build_mapper, edited_sites
from where2edit.editing.mappers.stylespace import StyleSpaceMapper
from where2edit.generators.stylegan2 import create

BLEND = "16.conv1"


def sites():
    return edited_sites(toy.generator(), BLEND)


def mapper(name, seed=0, **options):
    torch.manual_seed(seed)
    return build_mapper(toy.generator(), BLEND, toy.encoder().dim, toy.mapper(name, **options))


def leaky(x):
    """fLReLU of the released code: sqrt(2) LeakyReLU_0.2."""
    return math.sqrt(2) * torch.where(x > 0, x, 0.2 * x)


def linear(module, x):
    """EqLin with lr_mul 1 in float64: weight / sqrt(inputs), bias as it is."""
    weight = module.weight.detach().double()
    return x @ (weight / math.sqrt(weight.shape[1])).T + module.bias.detach().double()


def test_stylespace_is_the_released_recipe():
    net, source, condition = mapper("stylespace"), toy.sources((0, 1)), toy.condition(n=2, per_source=1, strength=0.3)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p), alpha=0.1)  # biases too must be where they belong
        u, shift = net(source, condition)
    h = condition.h.double()
    for i, site in enumerate(sites()):
        s = source.styles[site.name].double()
        first, _, second, _ = net.text[i]
        text = leaky(linear(second, leaky(linear(first, h))))
        hidden = torch.cat([linear(net.style[i], s), text], dim=1)
        expected = s + 0.3 * (linear(net.fusion[i], hidden) - s)
        assert torch.allclose(u[site.name].double(), expected, atol=2e-5), site.name
        assert torch.allclose(shift[:, i].double(), (expected - s).norm(dim=1), rtol=1e-4)


def test_stylespace_has_the_released_shapes():
    """Section 3: hidden width (512 + text)/2, style 512 -> 512, fusion 1024 -> 512; biases start at 0, 1 and 1."""
    net = StyleSpaceMapper(toy.generator(), sites(), 512, NoOptions())
    assert sum(p.numel() for p in net.parameters()) / len(sites()) == 18_378_752 / 14
    assert all((linear.bias == 1).all() for linear in (*net.style, *net.fusion))
    assert all((branch[i].bias == 0).all() for branch in net.text for i in (0, 2))


@pytest.mark.parametrize("resolution, blend, last", [(64, "64.conv1", "64.rgb"), (64, "32.conv0", "32.conv0")])
def test_edited_sites_follow_the_released_table(resolution, blend, last):
    """A blend at a second convolution edits up to the RGB of its resolution; at a first one, up to itself."""
    names = [site.name for site in edited_sites(create(resolution, 1), blend)]
    assert names[-1] == last and names[0] == "4.conv1" and len(names) == (14 if blend == "64.conv1" else 9)


@pytest.mark.parametrize("name", toy.MAPPER_NAMES)
def test_sites_past_the_blend_keep_the_style_of_the_source(name):
    net = create(32, 1, seed=1)
    source = net.source(net.w(net.sample_z([0])))
    torch.manual_seed(0)
    built = build_mapper(net, BLEND, toy.encoder().dim, toy.mapper(name))
    u, shift = built(source, toy.condition(per_source=1))
    changed = [name for name, style in u.items() if not torch.equal(style, source.styles[name])]
    assert changed == [site.name for site in net.upto("16.rgb")] and list(u) == [s.name for s in net.sites]
    assert shift.shape == (1, len(changed))


@pytest.mark.parametrize("name", toy.MAPPER_NAMES)
def test_strength_scales_the_shift_zero_is_exact_and_negative_reverses(name):
    net, source = mapper(name), toy.sources((0, 1))
    with torch.no_grad():
        u = {
            strength: net(source, replace(toy.condition(n=2, per_source=1), strength=strength))[0]
            for strength in (0.0, 0.1, -0.1, 0.2)
        }
    for name, s in source.styles.items():
        assert torch.equal(u[0.0][name], s)
        assert torch.allclose(u[0.2][name] - s, 2 * (u[0.1][name] - s), atol=1e-4)
        assert torch.allclose(u[-0.1][name] - s, s - u[0.1][name], atol=1e-4)
    assert any(not torch.equal(u[0.1][name], s) for name, s in source.styles.items())


@pytest.mark.parametrize("name", toy.MAPPER_NAMES)
def test_styles_are_affine_in_the_strength(name):
    """Natural strength proposes an edit once and takes what lies between source and proposal for weaker edits."""
    net, source = mapper(name), toy.sources((0, 1))
    strengths = (0.02, 0.05, 0.3)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p), alpha=0.1)  # what training starts with at 0 must be affine too
        top, lengths = net(source, toy.condition(n=2, per_source=1, strength=0.12))
        for strength in strengths:
            u, shift = net(source, toy.condition(n=2, per_source=1, strength=strength))
            for site, s in source.styles.items():
                assert torch.allclose(torch.lerp(s, top[site], strength / 0.12), u[site], rtol=1e-4, atol=1e-4), site
    if name == "stylespace" or not getattr(net, "colours", None):
        assert torch.allclose(lengths * strengths[-1] / 0.12, shift, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", toy.MAPPER_NAMES)
def test_each_edit_of_a_batch_may_have_a_strength_of_its_own(name):
    net, source, own = mapper(name), toy.sources((0, 1)), torch.tensor([[0.1], [0.3]])
    condition = toy.condition(n=2, per_source=1)
    with torch.no_grad():
        u, shift = net(source, replace(condition, strength=own))
        for row, strength in enumerate(own.flatten().tolist()):
            alone, length = net(source, replace(condition, strength=strength))
            assert torch.allclose(shift[row], length[row])
            assert all(torch.allclose(u[site][row], alone[site][row]) for site in u)


@pytest.mark.parametrize("name", toy.MAPPER_NAMES)
def test_a_mapper_brings_no_tail_layer_by_itself(name):
    assert mapper(name).tail(toy.sources((0, 1)), toy.condition(n=2, per_source=1), None) is None


def branch(net, c, h):
    """Eq. 2's layers in float64: the text's two, then what joins them with the coordinates."""
    first, _, second, _ = net.text
    text = leaky(linear(second, leaky(linear(first, h))))
    return linear(net.fusion, torch.cat([linear(net.style, c), text], dim=1))


def test_without_shifts_of_their_own_all_sites_move_together():
    net = mapper("w_principal", per_site_weight=0.0)
    with torch.no_grad():
        shift = net(toy.sources((0, 1)), toy.condition(n=2, per_source=1))[1]
    assert net.per_site is None and torch.equal(shift, shift[:, :1].expand_as(shift)) and (shift > 0).all()
    with pytest.raises(
        ValueError, match=r"options.per_site_weight is 2; allowed: 0 to 1 \(0: all sites move together\)"
    ):
        MapperConfig("w_principal", {"per_site_weight": 2})


def test_the_shift_of_the_principal_space_is_a_mahalanobis_length_of_a_move_in_w():
    net, source, condition = mapper("w_principal"), toy.sources((0, 1)), toy.condition(n=2, per_source=1, strength=0.5)
    generator = toy.generator()
    with torch.no_grad():
        u, shift = net(source, condition)
    h, directions, scales = condition.h.double(), net.directions.double(), net.scales.double()
    for i, site in enumerate(sites()):
        w = source.w[:, generator.w_index(site)].double()
        c = ((w - generator.w_mean.double()) @ directions) / scales
        move = 0.5 * (branch(net.shared, c, h) + 0.25 * branch(net.per_site[i], c, h))
        moved = linear(generator.layer(site).affine, w + (move * scales) @ directions.T)
        assert torch.allclose(u[site.name].double(), moved, atol=2e-5), site.name
        assert torch.allclose(shift[:, i].double(), move.norm(dim=1), rtol=1e-4)


@pytest.mark.parametrize("name", ["samples", "hidden"])
def test_sizes_of_nothing_are_refused(name):
    with pytest.raises(ValueError, match=f"method.mapper.options.{name} is 0; allowed: 1 to"):
        MapperConfig("w_principal", {name: 0})


def test_the_generator_is_no_part_of_what_is_trained():
    net = mapper("w_principal")
    assert not {id(p) for p in net.parameters()} & {id(p) for p in toy.generator().parameters()}
    assert set(dict(net.named_buffers())) == {"directions", "scales"}
