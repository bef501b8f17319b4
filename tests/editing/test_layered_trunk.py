"""Blending at several layers: Eq. 1 by hand, how far each layer reaches, and what a user's mask does."""

from dataclasses import replace

import pytest
import torch
import toy_cases as toy

from where2edit.core.records import LayerMasks, Source
from where2edit.editing.blended_walk import blended_trunk
from where2edit.editing.layered_trunk import (
    code_sites,
    joined_mask,
    layer_sites,
    layered_canvas,
    layered_trunk,
    reach,
)
from where2edit.editing.sequences import EarlierEdit, combine_with_earlier
from where2edit.generators.base import Canvas, Site

SIZE, BLEND, RGB = 32, "32.conv1", "32.rgb"


class Multiplies:
    """A generator of one number: each site multiplies it by its style; RGB adds it to what is there."""

    sites = (Site(1, "conv0", 1, 1, 1, 0), Site(1, "rgb", 1, 1, 1, 0), Site(1, "conv1", 1, 1, 1, 0))

    def start(self, batch):
        return Canvas(torch.ones(batch, 1, 1, 1), torch.zeros(batch, 1, 1, 1))

    def step(self, site, canvas, style):
        written = canvas.features * style[:, :, None, None]
        return replace(canvas, rgb=canvas.rgb + written) if site.rgb else replace(canvas, features=written)


@pytest.mark.parametrize(
    "masks, features, rgb",
    [
        ((0.5, 0.25), 0.25 * 5 * 3 + 0.75 * 3 * 3, 30),  # f_1 = 0.5 * 4 + 0.5 * 2 = 3
        ((0.5, 0.0), 3 * 3, 30),  # a mask of zeros keeps what the first layer has edited
        ((0.0, 1.0), 2 * 5, 20),
        ((1.0, 1.0), 4 * 5, 40),
        ((0.0, 0.0), 2 * 3, 20),
    ],
)
def test_eq_1_runs_each_layer_with_both_codes_and_rgb_with_those_of_the_source(masks, features, rgb):
    own, edited = ({"1.conv0": a, "1.rgb": r, "1.conv1": b} for a, r, b in ((2.0, 10.0, 3.0), (4.0, 99.0, 5.0)))
    own, edited = ({name: torch.tensor([[x]]) for name, x in each.items()} for each in (own, edited))
    source = Source(torch.zeros(1, 1, 1), own, {})
    masks = {name: torch.full((1, 1, 1, 1), m) for name, m in zip(("1.conv0", "1.conv1"), masks, strict=True)}
    canvas = layered_canvas(Multiplies(), source, edited, masks, Multiplies.sites)
    assert canvas.features.item() == pytest.approx(features) and canvas.rgb.item() == pytest.approx(rgb)


def test_a_layer_ends_at_each_convolution_and_rgb_sites_are_not_edited():
    generator = toy.generator(SIZE)
    names = [site.name for site in layer_sites(generator, BLEND)]
    assert names == ["4.conv1", *(f"{r}.{role}" for r in (8, 16, 32) for role in ("conv0", "conv1"))]
    assert [site.name for site in code_sites(generator, BLEND)] == names


def masks_of(generator, site, value=0.0, batch=1):
    return {s.name: torch.full((batch, 1, s.resolution, s.resolution), value) for s in layer_sites(generator, site)}


@pytest.fixture(scope="module")
def moved():
    """A source of 32 px and styles with every code shifted."""
    source, generator = toy.sources((0,), SIZE), toy.generator(SIZE)
    torch.manual_seed(0)
    with torch.no_grad():
        shifted = generator.styles(source.w + torch.randn(1, 1, 512))
    return source, source.styles | {site.name: shifted[site.name] for site in code_sites(generator, BLEND)}


@pytest.mark.parametrize("layer", ["8.conv1", "16.conv0", "16.conv1", "32.conv0", "32.conv1"])
def test_one_open_cell_of_a_layer_changes_what_its_reach_says_and_nothing_else(moved, layer):
    """Of the last canvas of Eq. 1, features and RGB, with nothing blended at the end."""
    (source, styles), generator = moved, toy.generator(SIZE)
    masks = masks_of(generator, BLEND)
    masks[layer][..., 0, 0] = 1
    sites = generator.upto(RGB)
    with torch.no_grad():
        canvas = layered_canvas(generator, source, styles, masks, sites)
    different = (canvas.features != source.features[BLEND]).any(1) | (canvas.rgb != source.rgb[RGB]).any(1)
    allowed = joined_mask(generator, masks, BLEND, spill=True)[:, 0] > 0
    assert different.any() and not (different & ~allowed).any()
    end = SIZE // masks[layer].shape[-1] + reach(generator, layer, BLEND)
    assert torch.equal(allowed[0].any(0), torch.arange(SIZE) < end)
    assert different[0].any(0).nonzero().max() == min(end, SIZE) - 1, "the mask is not larger than it must be"


def test_the_mask_is_the_largest_of_the_layers_and_grows_only_where_it_may_spill():
    generator = toy.generator(SIZE)
    masks = masks_of(generator, BLEND)
    masks["16.conv1"][..., 4, 4], masks[BLEND][..., 8, 8], masks[BLEND][..., 30, 30] = 0.5, 0.75, 0.9
    joined = joined_mask(generator, masks, BLEND, spill=False)
    assert joined[0, 0, 8, 8] == 0.75 and (joined[0, 0, 8:10, 8:10].flatten()[1:] == 0.5).all()
    assert joined.count_nonzero() == 5
    spilt = joined_mask(generator, masks, BLEND, spill=True)
    far = reach(generator, "16.conv1", BLEND)
    assert far == 3 and (spilt[0, 0, 8 - far : 10 + far, 8 - far : 10 + far] >= 0.5).all()
    assert spilt.count_nonzero() == (2 + 2 * far) ** 2 + 1


def half(source, spill):
    """Masks of 8 px and later, open in the upper left quarter, and the mask that belongs to them."""
    generator, masks = toy.generator(SIZE), masks_of(toy.generator(SIZE), BLEND)
    for mask in masks.values():
        if mask.shape[-1] >= 8:
            mask[..., : mask.shape[-1] // 2, : mask.shape[-1] // 2] = 0.9
    own = joined_mask(generator, masks, BLEND, spill)
    return LayerMasks(masks, masks, own)


@pytest.mark.parametrize("spill", [False, True])
def test_the_blended_canvas_is_eq_1_under_the_mask_and_the_source_elsewhere(moved, spill):
    (source, styles), generator = moved, toy.generator(SIZE)
    by_layer = half(source, spill)
    with torch.no_grad():
        made = layered_trunk(generator, source, styles, by_layer.own, BLEND, None, by_layer).canvas
        eq_1 = layered_canvas(generator, source, styles, by_layer.masks, generator.upto(RGB))
    on, at = by_layer.own > 0, source.features[BLEND]
    assert torch.equal(made.features, torch.where(on, eq_1.features, at))
    assert torch.equal(made.features, eq_1.features) == spill, "Eq. 1 as printed needs no second blending"
    outside = (~on).expand_as(made.rgb)
    assert torch.equal(made.rgb[outside], source.rgb[RGB][outside])


def test_a_mask_that_narrows_keeps_the_layers_and_any_other_puts_all_of_them_in_force(moved):
    (source, styles), generator = moved, toy.generator(SIZE)
    by_layer = half(source, spill=False)
    narrow = by_layer.own.clone()
    narrow[..., 8:, :] = 0
    wide = by_layer.own.clone()
    wide[..., 20:, 20:] = 1
    with torch.no_grad():
        whole = layered_trunk(generator, source, styles, by_layer.own, BLEND, None, by_layer).canvas.features
        narrowed = layered_trunk(generator, source, styles, narrow, BLEND, None, by_layer).canvas.features
        widened = layered_trunk(generator, source, styles, wide, BLEND, None, by_layer)
        plain = blended_trunk(generator, source, styles, wide, BLEND)
    assert torch.equal(narrowed[..., :8, :], whole[..., :8, :])
    assert torch.equal(narrowed[..., 8:, :], source.features[BLEND][..., 8:, :])
    assert torch.equal(widened.canvas.features, plain.canvas.features)


def test_where_edits_of_a_sequence_meet_all_layers_are_in_force():
    source, seen = toy.sources((0,), 16), []
    method = toy.method("coralstyleclip").eval()
    with torch.no_grad():
        edit = method.propose(source, toy.condition(per_source=1, strength=0.5))

        def render(source, each):
            seen.append(each.by_layer)
            return method.render(source, each)

        made = render(source, edit)
        combine_with_earlier(render, source, made, (EarlierEdit.of(source, edit),))
    assert seen[0] is not None and seen[1] is None
