"""The trunk on a window: what is blended equals the whole blended canvas, for masks anywhere and with any seam."""

import pytest
import torch

from where2edit.core.records import Edit
from where2edit.editing.rendering import render_blended
from where2edit.editing.seams.screened import ScreenedOptions, ScreenedSeam
from where2edit.editing.windowed_trunk import windowed_trunk
from where2edit.generators.base import Generator
from where2edit.generators.stylegan2 import create


@pytest.fixture(scope="module")
def net():
    return create(128, 1, seed=1)


def walked(net):
    with torch.no_grad():
        w = net.w(net.sample_z([0, 1]))
        return net.source(w[:1]), net.styles(w[1:])


def boxes(size, number):
    """Masks of one box each, at odd and even places, at the borders too."""
    draw = torch.Generator().manual_seed(size)
    for _ in range(number):
        mask = torch.zeros(1, 1, size, size)
        top, left = torch.randint(0, size - 2, (2,), generator=draw).tolist()
        height, width = torch.randint(1, size // 2, (2,), generator=draw).tolist()
        mask[..., top : top + height, left : left + width] = torch.rand(1, generator=draw)
        yield mask


@torch.no_grad()
@pytest.mark.parametrize("site", ["16.conv1", "32.conv0", "32.conv1", "64.conv1"])
@pytest.mark.parametrize("seam", [None, ScreenedSeam(ScreenedOptions())], ids=["no seam", "screened"])
def test_what_is_blended_is_the_whole_blended_canvas(net, site, seam):
    source, styles = walked(net)
    for mask in boxes(net.site(site).resolution, 3):
        edit = Edit(styles=styles, mask=mask)
        whole, part = (render_blended(net, source, edit, site, windowed=way, seam=seam) for way in (False, True))
        assert (whole.image - part.image).abs().max() <= 1e-4
        for expected, found in ((whole.features, part.features), (whole.rgb, part.rgb)):
            assert expected.keys() == found.keys()
            assert all((expected[name] - found[name]).abs().max() <= 1e-4 for name in expected)


@torch.no_grad()
def test_cells_outside_the_mask_are_the_source_s_own(net):
    source, styles = walked(net)
    mask = torch.zeros(2, 1, 32, 32)
    mask[0, :, 5:9, 20:23], mask[1, :, 7:12, 3:6] = 1.0, 0.5
    repeated, expanded = source.repeat(2), {name: style.expand(2, -1) for name, style in styles.items()}
    blended = windowed_trunk(net, repeated, expanded, mask, "32.conv1")
    features, rgb = blended.features["32.conv1"], blended.rgb["32.rgb"]
    outside = (mask == 0).expand_as(features)
    assert torch.equal(features[outside], repeated.features["32.conv1"][outside])
    assert torch.equal(rgb[outside[:, :3]], repeated.rgb["32.rgb"][outside[:, :3]])
    assert not torch.equal(features[0], features[1]) and not torch.equal(features, repeated.features["32.conv1"])
    nothing = windowed_trunk(net, source, styles, mask[:1] * 0, "32.conv1")
    assert torch.equal(nothing.canvas.features, source.features["32.conv1"])


@torch.no_grad()
def test_a_trunk_that_is_too_narrow_is_noticed(net, monkeypatch):
    source, styles = walked(net)
    edit = Edit(styles=styles, mask=torch.zeros(1, 1, 64, 64))
    edit.mask[..., 21:27, 33:40] = 1
    whole, reach = render_blended(net, source, edit, "64.conv1").image, Generator.halo
    narrow = lambda self, after, features=0, upto=None: reach(self, after, features, upto) // (1 if upto is None else 4)  # noqa: E731
    monkeypatch.setattr(Generator, "halo", narrow)
    assert (render_blended(net, source, edit, "64.conv1", windowed=True).image - whole).abs().max() > 1e-3
