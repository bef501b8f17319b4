"""Windows of a mask: they hold it and what it reaches, and cost what the edited area costs."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from where2edit.core.records import Edit
from where2edit.editing.mask_windows import bounding_window, windows
from where2edit.editing.rendering import render_blended
from where2edit.generators.base import Canvas
from where2edit.generators.stylegan2 import create
from where2edit.generators.window import Window


def covered(found, size):
    inside = torch.zeros(size, size, dtype=torch.bool)
    for window in found:
        inside[window.top : window.bottom, window.left : window.right] = True
    return inside


def test_windows_hold_every_cell_and_its_surroundings():
    draw = torch.Generator().manual_seed(0)
    for share in (0.0, 0.001, 0.01, 0.3):
        active = torch.rand(32, 32, generator=draw) < share
        near = torch.nn.functional.max_pool2d(active[None].float(), 5, 1, 2)[0] > 0
        found = windows(active, 2)
        assert (covered(found, 32) | ~near).all()
        assert bool(found) == bool(active.any())
        around = bounding_window(active)
        assert (around is None) == (not found) and (around is None or covered([around], 32)[active].all())


def test_parts_far_apart_have_windows_of_their_own_and_near_ones_share():
    active = torch.zeros(64, 64, dtype=torch.bool)
    active[2:5, 2:5] = active[58:61, 58:61] = True
    assert windows(active, 2) == [Window(64, 0, 7, 0, 7), Window(64, 56, 63, 56, 63)]
    active[2:5, 8:11] = True
    assert Window(64, 0, 7, 0, 13) in windows(active, 2) and len(windows(active, 2)) == 2
    active[20, 30] = active[21, 31] = True  # cells that touch at a corner are one part
    assert len(windows(active, 2)) == 3


def test_a_crop_of_a_crop_is_the_crop():
    x = torch.arange(64.0 * 64).view(1, 1, 64, 64)
    outer, inner = Window(16, 2, 9, 3, 15), Window(32, 6, 11, 8, 20)
    assert torch.equal(inner.crop(outer.crop(x), outer), inner.crop(x))
    assert torch.equal(inner.crop(x), x[..., 12:22, 16:40])
    canvas = Canvas(x, x[..., ::2, ::2]).crop(outer).crop(inner)
    assert torch.equal(canvas.features, inner.crop(x)) and canvas.rgb.shape == (1, 1, 5, 12)
    assert torch.equal(canvas.own(x), inner.crop(x)) and torch.equal(Canvas(x).own(x), x)


@torch.no_grad()
def test_an_edit_of_the_eyes_costs_a_third_of_the_tail_at_most():
    """Counted in floating-point operations of StyleGAN2 at 256 px, of which the tail after 64 px is the larger part."""
    net = create(256, 1, seed=1)
    source = net.source(net.w(net.sample_z([0])))
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 26:33, 18:46] = 1

    def cost(**how):
        with FlopCounterMode(display=False) as counter:
            render_blended(net, source, Edit(styles=source.styles, mask=mask), "64.conv1", **how)
        return counter.get_total_flops()

    with FlopCounterMode(display=False) as trunk:
        net.source(source.w, upto="64.rgb")
    whole, windowed = (cost(windowed=windowed) - trunk.get_total_flops() for windowed in (False, True))
    assert windowed <= 0.35 * whole
