"""Skin light: an edit does not make skin lighter, and touches nothing else."""

from dataclasses import replace

import pytest
import torch
import toy_cases as toy

from where2edit.core.records import Edit
from where2edit.editing.certificate import certify, halo
from where2edit.editing.face_parts import PARTS
from where2edit.editing.rendering import render_blended
from where2edit.editing.skin_light import SkinLight
from where2edit.generators.stylegan2 import create

CELLS, CHANNELS = 32, 6


class GreyHead:
    """A head whose picture has the first channel of a canvas as its grey, whatever the styles."""

    def __call__(self, canvas, styles):
        return canvas[:, :1].expand(-1, 3, -1, -1)


def halves(canvas):
    """Stands for a part classifier that reads the second channel: above 0.5 a cheek, below hair."""
    return torch.where(canvas[:, 1] > 0.5, PARTS.index("cheeks"), PARTS.index("hair"))


def canvases(rise):
    """A source [1,6,32,32] with a cheek of uneven light in its left half, and an edit that is lighter by `rise`."""
    source = torch.randn(1, CHANNELS, CELLS, CELLS, generator=torch.Generator().manual_seed(0)) * 0.01
    source[:, 0] += torch.linspace(-0.3, 0.1, CELLS)
    source[:, 2] += 2 * torch.linspace(-0.3, 0.1, CELLS)  # goes along with the light
    source[:, 1, :, : CELLS // 2] = 1.0
    edited = source.clone()
    edited[:, 0] += rise
    return edited, source


def kept(edited, source, mask):
    return SkinLight(GreyHead(), halves).kept(edited, source, mask, {})


def test_what_became_lighter_is_taken_back_on_skin_along_the_source_s_own_direction():
    edited, source = canvases(0.2)
    mask = torch.ones(1, 1, CELLS, CELLS)
    found = kept(edited, source, mask)
    left, change = slice(0, CELLS // 2), found - edited
    before, after = ((x - source)[:, 0, :, left].mean() for x in (edited, found))
    assert before > 0.19 and after.abs() < 0.2 * before
    assert not change[..., CELLS // 2 :].any()  # hair becomes as light as it likes
    slope = change[:, 2, :, left] / change[:, 0, :, left]
    assert (slope - 2).abs().max() < 0.1  # what goes along with light in the source goes along here
    assert change[:, 3:].abs().max() < 0.05 * change[:, 0].abs().max()


def test_darker_skin_and_unmasked_cells_stay_bit_for_bit():
    edited, source = canvases(-0.2)
    ones = torch.ones(1, 1, CELLS, CELLS)
    assert torch.equal(kept(edited, source, ones), edited)
    edited, source = canvases(0.2)
    assert torch.equal(kept(edited, source, 0 * ones), edited)
    mask = ones.clone()
    mask[..., :8, :] = 0
    change = kept(edited, source, mask) - edited
    assert not change[..., :8, :].any() and change[..., 8:, :].any()


def test_what_may_have_been_a_beard_may_go():
    edited, source = canvases(0.0)
    beard = (slice(None), 0, slice(24, 32), slice(0, CELLS // 2))
    source[beard] -= 0.6
    change = kept(edited, source, torch.ones(1, 1, CELLS, CELLS)) - edited
    assert change.abs().max() < 0.02  # and not as dark as the beard was


def test_fine_detail_of_the_edit_stays():
    edited, source = canvases(0.0)
    pattern = 0.1 * (torch.arange(CELLS) % 2 * 2 - 1.0)[:, None]  # stripes of one cell: blurred, nearly nothing
    edited[:, 0] += pattern
    change = kept(edited, source, torch.ones(1, 1, CELLS, CELLS)) - edited
    assert change[:, 0, 8:-8].abs().max() < 0.1 * pattern.abs().max()


def test_gradients_pass_as_if_nothing_was_corrected():
    edited, source = canvases(0.2)
    edited.requires_grad_()
    kept(edited, source, torch.ones(1, 1, CELLS, CELLS)).sum().backward()
    assert torch.equal(edited.grad, torch.ones_like(edited))


class Lightest:
    """Stands for skin light: adds the mask to the canvas, so that it can be seen where and when it is asked."""

    def kept(self, edited, source, mask, styles):
        return edited + mask


def test_reversed_edits_are_left_alone_and_pixels_outside_are_the_source_s():
    net, site = create(64, 1, seed=1), "16.conv1"
    mask = torch.zeros(2, 1, 16, 16)
    mask[..., 6:9, 6:9] = 1
    with torch.no_grad():
        source = net.source(net.w(net.sample_z([0, 1])))
        edit = Edit(styles=source.styles, mask=mask, reversed=torch.tensor([[False], [True]]))
        for keep_tail in (False, True):
            found = render_blended(net, source, edit, site, skin_light=Lightest(), keep_tail=keep_tail)
            changed = (found.image - source.image).abs().amax(1)
            assert changed[0].max() > 1e-3 and not changed[1].any()
            assert certify(source.image, found.image, mask, halo(net, site))[0].local
            assert torch.equal(found.features[site][0], source.features[site][0] + mask[0])


def test_what_a_profile_lacks_for_it_is_said():
    frozen = toy.frozen(keep_skin_light=True)
    assert frozen.skin_light(use_preview_head=True) is None  # previews do without
    for lacking in (replace(frozen, preview_head=None), replace(frozen, preview_site="elsewhere")):
        with pytest.raises(ValueError, match="needs a preview head at the blend site"):
            lacking.skin_light(use_preview_head=False)
    unknown = replace(frozen, regions=None, preview_head=GreyHead(), preview_site=frozen.blend_site)
    with pytest.raises(ValueError, match="divided by part"):
        unknown.skin_light(use_preview_head=False)
    assert toy.frozen().skin_light(use_preview_head=False) is None
