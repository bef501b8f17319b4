"""The residual of a photo in its edits: kept where the edit changes little, dropped where it draws anew."""

import pytest
import torch

from where2edit.core.records import Edit
from where2edit.editing.rendering import render_blended
from where2edit.editing.residual import kept_share, remaining
from where2edit.editing.seams.screened import ScreenedOptions, ScreenedSeam
from where2edit.editing.sequences import next_source
from where2edit.generators.stylegan2 import create

SITE = "16.conv1"


@pytest.fixture(scope="module")
def net():
    return create(64, 1, seed=1)


@torch.no_grad()
def photo(net, size=0.3):
    """A source with a residual at the blend site, and the styles of another face."""
    w = net.w(net.sample_z([0, 1]))
    features = net.source(w[:1], upto=SITE).features[SITE]
    random = torch.randn(features.shape, generator=torch.Generator().manual_seed(0))
    return net.source(w[:1], residual={SITE: size * random}), net.styles(w[1:])


def masked(value=1.0):
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:11, 5:12] = value
    return mask


def test_the_share_by_hand():
    edited, plain = torch.tensor([3.0, 1.0, 0.0]).view(1, 1, 1, 3), torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 1, 3)
    residual = torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 1, 3)
    # 2*1 / (2*1 + 4); nothing changes: all of it; neither a change nor a residual: nothing to keep
    assert kept_share(edited, plain, residual).flatten().tolist() == pytest.approx([1 / 3, 1.0, 0.0])


def test_what_remains_of_the_residual():
    residual, share = torch.full((1, 2, 1, 3), 4.0), torch.full((1, 1, 1, 3), 0.25)
    mask = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3)
    assert remaining(residual, share, mask)[0, 0, 0].tolist() == [4.0, 2.5, 1.0]


@torch.no_grad()
def test_a_source_has_its_residual_in_canvas_and_picture(net):
    source, _ = photo(net)
    w_alone = net.source(source.w)
    assert torch.allclose(source.features[SITE], w_alone.features[SITE] + source.residual[SITE])
    assert not torch.equal(source.image, w_alone.image)
    plain = source.plain()
    assert not plain.residual
    assert torch.allclose(plain.features[SITE], w_alone.features[SITE], atol=1e-5)
    assert w_alone.plain() is w_alone
    assert torch.equal(source.repeat(2).take(slice(1, 2)).residual[SITE], source.residual[SITE])


@torch.no_grad()
@pytest.mark.parametrize("seam", [None, ScreenedSeam(ScreenedOptions())], ids=["no seam", "screened"])
@pytest.mark.parametrize("value", [1.0, 0.4])
def test_windows_and_the_whole_canvas_agree(net, seam, value):
    source, styles = photo(net)
    edit = Edit(styles=styles, mask=masked(value))
    whole, part = (render_blended(net, source, edit, SITE, windowed=way, seam=seam) for way in (False, True))
    assert (whole.image - part.image).abs().max() <= 1e-4
    assert (whole.residual[SITE] - part.residual[SITE]).abs().max() <= 1e-5
    outside = (edit.mask == 0).expand_as(source.residual[SITE])
    assert torch.equal(part.residual[SITE][outside], source.residual[SITE][outside])
    assert torch.equal(part.features[SITE][outside], source.features[SITE][outside])


@torch.no_grad()
def test_an_edit_of_nothing_keeps_the_photo(net):
    source, _ = photo(net)
    edit = render_blended(net, source, Edit(styles=source.styles, mask=masked()), SITE)
    assert torch.allclose(edit.image, source.image, atol=1e-4)
    assert torch.allclose(edit.residual[SITE], source.residual[SITE], atol=1e-5)


@torch.no_grad()
def test_a_large_edit_drops_the_residual_and_a_slight_one_keeps_it(net):
    source, styles = photo(net, size=0.05)
    near = {name: source.styles[name] + 1e-3 * (style - source.styles[name]) for name, style in styles.items()}
    inside = masked().bool().expand_as(source.residual[SITE])
    left = {}
    for name, u in (("near", near), ("far", styles)):
        edit = render_blended(net, source, Edit(styles=u, mask=masked()), SITE)
        left[name] = (edit.residual[SITE][inside].norm() / source.residual[SITE][inside].norm()).item()
    assert left["near"] > 0.95
    assert left["far"] < 0.2


@torch.no_grad()
def test_the_next_edit_of_a_sequence_knows_what_is_left(net):
    source, styles = photo(net)
    following = next_source(source, render_blended(net, source, Edit(styles=styles, mask=masked()), SITE))
    drawn = net.source(net.w(net.sample_z([1])), upto=SITE).features[SITE]  # what the edit draws without a residual
    inside = masked().bool().expand_as(drawn)
    assert torch.allclose(following.plain().features[SITE][inside], drawn[inside], atol=1e-4)
