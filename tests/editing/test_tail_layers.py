"""Tail layers: nothing outside their mask, all of the layer where it is 1, sharp along edges, kept in sequences."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy

from where2edit.core.records import Edit, TailLayer
from where2edit.editing.certificate import certify, halo
from where2edit.editing.cosine_calibration import canvas_picture
from where2edit.editing.masks import BlendingConfig, blur_mask, grow, resize_mask
from where2edit.editing.preview_head import Preview
from where2edit.editing.rendering import render_blended
from where2edit.editing.sequences import EarlierEdit, combine_with_earlier, next_source
from where2edit.editing.tail_layers import GUIDED_AT, layered_preview, own_layers, refine
from where2edit.generators.stylegan2 import create

SITE = "16.conv1"


@pytest.fixture(scope="module")
def net():
    return create(64, 1, seed=1)


@pytest.fixture(scope="module")
def source(net):
    with torch.no_grad():
        return net.source(net.w(net.sample_z([0])))


def later(net):
    return [site.name for site in net.sites if site.resolution > 16]


def colour(net, seed=5, mask=None):
    """A layer with the late styles of another face."""
    with torch.no_grad():
        styles = net.styles(net.w(net.sample_z([seed])))
    return TailLayer({name: styles[name] for name in later(net)}, torch.ones(1, 1, 1, 1) if mask is None else mask)


def square(low=5, high=10, size=16):
    mask = torch.zeros(1, 1, size, size)
    mask[..., low:high, low:high] = 1
    return mask


@torch.no_grad()
def rendered(net, source, mask, tail=None, styles=None, **how):
    return render_blended(net, source, Edit(styles=styles or source.styles, mask=mask, tail=tail), SITE, **how)


def test_a_layer_changes_its_mask_and_halo_and_nothing_else(net, source):
    reach = halo(net, SITE)
    for number in range(4):
        mask = square(number, number + 4) * 0.7
        edit = rendered(net, source, mask, colour(net, 5 + number))
        certificate = certify(source.image, edit.image, mask, reach)[0]
        assert certificate.leak_max == 0 and certificate.changed > 0.01
        assert torch.equal(edit.features[SITE], source.features[SITE]), "only the tail has other styles"


def test_a_layer_with_an_empty_mask_gives_the_source_bit_for_bit(net, source):
    nowhere, everywhere = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    for mask, share in ((nowhere, None), (everywhere, nowhere)):
        edit = rendered(net, source, mask, colour(net, mask=share))
        assert torch.equal(edit.image, source.image) and len(edit.layers) == 1 and not edit.layers[0].mask.any()


def test_a_layer_with_a_full_mask_is_plain_synthesis_with_its_styles(net, source):
    full = replace(colour(net), mask=torch.ones(1, 1, 64, 64))
    edit = rendered(net, source.with_(layers=(full,)), torch.zeros(1, 1, 16, 16))
    with torch.no_grad():
        assert torch.equal(edit.image, net.synthesis(source.styles | full.styles))
    assert edit.layers == (full,)


def test_a_layer_may_take_part_in_a_share_of_the_mask_only(net, source):
    upper = torch.ones(1, 1, 16, 16)
    upper[..., 8:, :] = 0
    edit = rendered(net, source, torch.ones(1, 1, 16, 16), colour(net, mask=upper))
    near = upper.clone()
    near[..., 8:10, :] = 1  # the filter's windows reach twice its radius past the share, along the edges of the image
    assert certify(source.image, edit.image, near, halo(net, SITE))[0].local
    assert not torch.equal(edit.image[..., :16, :], source.image[..., :16, :])


@torch.no_grad()
def test_each_site_is_mixed_once(net, source):
    """Against a plain statement of the walk, under a fractional mask of the image's size."""
    mask = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    layer = colour(net, mask=mask)
    edit = rendered(net, source.with_(layers=(layer,)), torch.zeros(1, 1, 16, 16))
    canvas = net.start(1)
    for site in net.sites:
        own = net.step(site, canvas, source.styles[site.name])
        if site.name in layer.styles:
            other = net.step(site, canvas, layer.styles[site.name])
            weight = F.avg_pool2d(mask, 64 // site.resolution)
            own = own.rewrite(site, own.written(site) + weight * (other.written(site) - own.written(site)))
        canvas = own
    assert torch.allclose(edit.image, net.image(canvas), atol=1e-5)
    assert not torch.allclose(edit.image, source.image, atol=1e-2)


def test_a_refined_mask_is_zero_where_the_mask_is_zero():
    draw = torch.Generator().manual_seed(0)
    image = torch.rand(3, 3, 128, 128, generator=draw) * 2 - 1
    mask = (torch.rand(3, 1, 16, 16, generator=draw) - 0.5).clamp_min(0)
    fine = refine(mask, image, mask)
    assert fine.shape == (3, 1, 128, 128) and fine.min() >= 0 and fine.max() <= 1
    assert not fine[resize_mask(mask, 128) == 0].any() and fine.any()
    assert not refine(torch.zeros_like(mask), image, torch.zeros_like(mask)).any()
    assert (refine(torch.ones_like(mask), image, torch.ones_like(mask)) == 1).all()


@pytest.mark.parametrize("edge", [63, 65, 66])
def test_a_refined_mask_follows_an_edge_of_the_image(edge):
    """A blurred mask that ends near column 64, and an area that ends near it: the refined mask drops at its edge."""
    image = torch.ones(1, 3, 128, 128)
    image[..., :edge] = -1
    mask = blur_mask((torch.arange(16) < 8).float().expand(1, 1, 16, 16), BlendingConfig())
    sharp, flat = (refine(mask, each, mask)[0, 0, 64].diff() for each in (image, torch.zeros_like(image)))
    assert sharp.argmin() == edge - 1 and sharp.min() < -0.3
    assert flat.min() > -0.12, "without an edge it ends softly"


def test_an_image_larger_than_the_filter_gets_a_mask_of_its_own_size():
    mask, size = square(), 2 * GUIDED_AT
    fine = refine(mask, torch.zeros(1, 3, size, size), mask)
    assert fine.shape[-1] == size and not fine[resize_mask(mask, size) == 0].any() and fine.max() > 0.9


def test_a_mask_is_refined_where_it_is_and_equals_the_whole_refined_mask_there():
    draw = torch.Generator().manual_seed(0)
    image = F.interpolate(torch.rand(2, 3, 32, 32, generator=draw) * 2 - 1, size=(512, 512), mode="bicubic")
    mask = torch.zeros(2, 1, 32, 32)
    mask[0, :, 3:9, 20:25], mask[1, :, 28:, :6] = 0.9, 1.0
    everywhere = torch.ones_like(mask)
    expected = refine(mask, image, everywhere) * resize_mask((mask > 0).float(), 512)
    torch.testing.assert_close(refine(mask, image, mask), expected, rtol=0, atol=1e-5)


def test_own_layers_are_sharpened_for_whole_pictures_only(source, net):
    mask, share = square() * 0.5, square(5, 8)
    edit = Edit(styles=source.styles, mask=mask, tail=colour(net, mask=share))
    (coarse,), (fine,) = (own_layers(source, edit, refined) for refined in (False, True))
    assert torch.equal(coarse.mask, mask * share) and torch.equal(fine.mask, refine(mask * share, source.image, mask))
    assert own_layers(source, edit.with_(tail=None), True) == ()


@torch.no_grad()
def test_a_second_edit_keeps_the_colour_of_the_first(net, source):
    reach, styles = halo(net, SITE), net.styles(net.w(net.sample_z([7])))
    first = rendered(net, source, square(2, 7), colour(net))
    canvas = next_source(source, first)
    assert canvas.layers == first.layers
    nothing = rendered(net, canvas, torch.zeros(1, 1, 16, 16))
    assert torch.equal(nothing.image, first.image)
    mask = square(9, 14)
    apart = rendered(net, canvas, mask, styles=styles)
    assert certify(first.image, apart.image, mask, reach)[0].local
    assert not torch.equal(apart.image[..., 10:26, 10:26], source.image[..., 10:26, 10:26])
    second = rendered(net, canvas, mask, colour(net, 6))
    assert len(second.layers) == 2 and certify(first.image, second.image, mask, reach)[0].local
    over = rendered(net, canvas, square(2, 7), colour(net, 6))
    anew = rendered(net, source, square(2, 7), colour(net, 6))
    inside = (..., slice(14, 22), slice(14, 22))
    assert (over.image - anew.image)[inside].abs().max() < 0.5 * (over.image - first.image)[inside].abs().max()


@torch.no_grad()
def test_where_edits_overlap_a_colour_is_laid_on_once(net, source):
    """The part of a sequence that is rendered twice must not get the layer of the new edit a second time."""
    first = rendered(net, source, square(2, 9), styles=net.styles(net.w(net.sample_z([7]))))
    canvas, earlier = next_source(source, first), (EarlierEdit.of(source, first),)
    edit = rendered(net, canvas, square(6, 12), colour(net))

    def render(source, edit):
        return render_blended(net, source, edit, SITE)

    combined = combine_with_earlier(render, canvas, edit, earlier)
    assert combined.layers == edit.layers and len(combined.layers) == 1
    assert certify(first.image, combined.image, square(6, 12), halo(net, SITE))[0].local


@pytest.fixture(scope="module")
def method():
    return toy.coloured()


@torch.no_grad()
def test_a_method_colours_the_parts_of_its_colour_and_nothing_else(method):
    source = toy.sources((0,), 32)
    edit = method(source, toy.colour_words(method))
    hair = edit.regions[:, None] == 0
    assert torch.equal(edit.tail.mask, hair.float()) and 0 < hair.float().mean() < 1
    near = grow(hair.float(), 2)
    assert not edit.layers[0].mask[resize_mask(near, 32) == 0].any()
    certificate = certify(source.image, edit.image, near, halo(method.frozen.generator, SITE))[0]
    assert certificate.local and certificate.changed > 0
    one = edit.with_(mask=torch.zeros_like(edit.mask))
    one.mask[..., 3, 4] = 1
    again = method.render(source, one.with_(tail=replace(edit.tail, mask=torch.ones_like(one.mask))))
    assert certify(source.image, again.image, one.mask, halo(method.frozen.generator, SITE))[0].local


@torch.no_grad()
def test_a_preview_shows_the_layers(method):
    source = toy.sources((0,), 32)
    edit = method(source, toy.colour_words(method), use_preview_head=True)
    head, features = method.frozen.preview_head, source.features[SITE]
    own, other = head(features, source.styles), head(features, source.styles | edit.tail.styles)
    expected = torch.lerp(own, other, edit.mask * edit.tail.mask)
    assert torch.allclose(edit.image, expected, atol=1e-5) and not torch.allclose(edit.image, own, atol=1e-2)
    closed = method.render(source, edit.with_(mask=torch.zeros_like(edit.mask)), use_preview_head=True)
    assert torch.equal(closed.image, own)
    whole = method(source, toy.colour_words(method))
    reduced = layered_preview(head, features, source.with_(layers=whole.layers))
    assert reduced.shape == own.shape and not torch.equal(reduced, own), "a mask of the image's size is reduced"


@torch.no_grad()
def test_the_canvas_that_rises_are_measured_from_has_the_colours_of_earlier_edits(method):
    source = toy.sources((0,), 32)
    preview = Preview(method.frozen.preview_head, SITE)
    canvas = next_source(source, method(source, toy.colour_words(method)))
    unedited = canvas_picture(method.frozen.generator, canvas, SITE, preview)
    nothing = Edit(styles=source.styles, mask=torch.zeros(1, 1, 16, 16))
    assert torch.equal(unedited, method.render(canvas, nothing, use_preview_head=True).image)
    assert not torch.equal(unedited, canvas_picture(method.frozen.generator, source, SITE, preview))


@torch.no_grad()
def test_layers_go_with_their_samples(method):
    source, condition = toy.sources((0, 1), 32), toy.colour_words(method)
    both = replace(condition, h=condition.h.expand(2, -1), h_attention=condition.h.expand(2, -1))
    canvas = next_source(source, method(source, both))
    repeated, second = canvas.repeat(2), canvas.take([1])
    for name, style in canvas.layers[0].styles.items():
        assert torch.equal(repeated.layers[0].styles[name], style.repeat_interleave(2, 0))
        assert torch.equal(second.layers[0].styles[name], style[1:])
    assert torch.equal(second.layers[0].mask, canvas.layers[0].mask[1:])
    assert len(second.repeat(3).layers[0].mask) == 3


def test_a_layer_under_a_mask_of_ones_is_plain_synthesis_and_costs_no_second_walk(net, source, monkeypatch):
    """It hides what lies below: the source's own styles, and an earlier layer."""
    layer, step, walked = colour(net), net.step, []
    monkeypatch.setattr(net, "step", lambda site, *given: walked.append(site.name) or step(site, *given))
    ones = torch.ones(1, 1, 16, 16)
    edit = rendered(net, source.with_(layers=(colour(net, 6, ones),)), ones, layer)
    assert [name for name in walked if name in later(net)] == later(net)
    with torch.no_grad():
        assert torch.equal(edit.image, net.synthesis(source.styles | layer.styles))
