"""tedigan and the optimisation of one instance: what is minimised, that it falls, and that nothing is random."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy

from where2edit.backbones import vgg
from where2edit.core.records import Source
from where2edit.editing.latent_optimisation import LatentOptimiser, rate_at, seen
from where2edit.editor.profile import load_profile
from where2edit.methods import METHODS
from where2edit.methods.base import MethodConfig


@pytest.fixture(autouse=True)
def no_download(monkeypatch):
    monkeypatch.setattr(vgg.LPIPS, "load", toy.random_lpips)


def tedigan(frozen=None, **options):
    method = METHODS.get("tedigan")(frozen or toy.frozen(), MethodConfig("tedigan", {"steps": 2, **options}))
    method.precompute(toy.encoder())
    return method


def one():
    return toy.sources(), toy.condition(["a beard"], per_source=1, strength=1.0)


def test_t1_is_the_weighted_sum_of_three_distances():
    method, (source, condition) = tedigan(clip=2.0, lpips=0.5, pixels=3.0), one()
    added = 0.3 * torch.randn(1, toy.generator().num_w, 512, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, after = source.image, toy.generator().synthesis(toy.generator().styles(source.w + added))
        expected = 2.0 * (1 - F.cosine_similarity(toy.encoder().image(after), condition.h))
        expected = expected + 0.5 * toy.random_lpips()(after, before) + 3.0 * (after - before).square().mean()
        value = method.objective(source, condition, added)
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)


def test_without_a_change_only_the_text_is_far():
    method, (source, condition) = tedigan(pixels=1.0), one()
    with torch.no_grad():
        value = method.objective(source, condition, torch.zeros_like(source.w))
        cosine = F.cosine_similarity(toy.encoder().image(source.image), condition.h)
    assert value.item() == pytest.approx(1 - cosine.item(), abs=1e-5)


def test_t2_the_strength_scales_what_one_optimisation_has_found():
    method, (source, condition) = tedigan(lpips=0.0), one()
    whole = method.propose(source, condition)
    found = dict(method.optimiser._kept)
    half = method.propose(source, replace(condition, strength=-0.5))
    assert list(method.optimiser._kept) == list(found) and len(found) == 1, "the strength is none of its questions"
    for name, style in source.styles.items():
        site = toy.generator().site(name)
        change = toy.generator().affine(site, next(iter(found.values()))[:, toy.generator().w_index(site)])
        change = change - toy.generator().affine(site, torch.zeros(1, 512))
        own = whole.tail.styles if name in whole.tail.styles else whole.styles
        assert torch.allclose(own[name], style + change, atol=1e-4)
        own = half.tail.styles if name in half.tail.styles else half.styles
        assert torch.allclose(own[name], style - 0.5 * change, atol=1e-4)


def test_more_steps_come_nearer():
    source, condition = toy.sources((0,), 8), one()[1]
    method = tedigan(toy.frozen(resolution=8), lpips=0.0, steps=8, lr=0.05)
    with torch.no_grad():
        start = method.objective(source, condition, torch.zeros_like(source.w))
        found = method.optimiser.added(source, condition, method.objective)
        assert method.objective(source, condition, found) < start - 0.05
    assert not found.requires_grad and not list(method.parameters())


def test_the_optimiser_finds_the_minimum_of_a_parabola():
    source, condition = one()
    goal = torch.full_like(source.w, 0.25)
    optimiser = LatentOptimiser(steps=60, lr=0.05)
    found = optimiser.added(source, condition, lambda s, c, added: (added - goal).square().sum())
    assert torch.allclose(found, goal, atol=0.02)


def test_every_edit_is_optimised_alone_and_once():
    asked = []

    def objective(source: Source, condition, added):
        asked.append((len(source), condition.prompts))
        return added.square().sum() + added.sum()

    optimiser, condition = (
        LatentOptimiser(steps=3, lr=0.1),
        toy.condition(["a beard", "bangs", "a beard"], per_source=3),
    )
    found = optimiser.added(toy.sources().repeat(3), condition, objective)
    assert asked == [(1, ("a beard",))] * 3 + [(1, ("bangs",))] * 3
    assert torch.equal(found[0], found[2]) and found.shape == (3, toy.generator().num_w, 512)


def test_the_rate_climbs_and_falls():
    rates = [rate_at(step, 40, 0.1) for step in range(40)]
    assert rates[0] == pytest.approx(0.1 * (0.5 / 40) / 0.05) and rates[10] == pytest.approx(0.1)
    assert rates[-1] < 0.001 and max(rates) == pytest.approx(0.1)


def test_what_is_seen_is_the_preview_where_there_is_one():
    frozen = toy.frozen(resolution=32, blend="16.conv1")
    source = toy.sources((0,), 32)
    with torch.no_grad():
        small = seen(frozen.generator, source, torch.zeros_like(source.w), frozen.own_preview)
        expected = frozen.preview_head(source.features["16.conv1"], source.styles)
    assert torch.allclose(small, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["tedigan", "tedigan_ffhq"])
def test_its_profiles_load_and_need_no_weights(name):
    profile = load_profile(toy.ROOT / f"configs/methods/{name}.yaml")
    assert (profile.method.name, profile.method.weights) == ("tedigan", None)
    assert not METHODS.get("tedigan").needs_weights and not METHODS.get("tedigan").local


def test_on_the_paper_s_generator_it_edits_with_every_code():
    """StyleGAN2 of 64 px with random weights, seen as a whole."""
    method, source = tedigan(toy.frozen(resolution=64, blend="32.conv1"), steps=1, lpips=0.0), toy.sources((0,), 64)
    with torch.no_grad():
        edit = method(source, toy.condition(["a beard"], per_source=1, strength=1.0))
    assert edit.image.shape == (1, 3, 64, 64) and (edit.shift > 0).all() and edit.shift.shape[1] == 10
    assert (edit.image - source.image).abs().mean() > 1e-3
