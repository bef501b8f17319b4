"""The refinement of an inversion, on a generator of 16 px: it comes closer, is exact, and goes on where it was."""

from dataclasses import replace

import pytest
import torch
from inversion_cases import use_small_networks

from where2edit.generators.stylegan2 import create
from where2edit.inversion import inverter as module
from where2edit.inversion.base import InversionConfig, Inverted
from where2edit.inversion.inverter import Inverter
from where2edit.inversion.views import ViewConfig, build_view

SITE = "8.conv1"
CONFIG = InversionConfig(w_steps=4, canvas_steps=4)


@pytest.fixture(scope="module", autouse=True)
def small_networks():
    """Small networks in place of LPIPS and ArcFace: what is tested is the fit and not what it looks through."""
    with pytest.MonkeyPatch.context() as patch:
        use_small_networks(patch)
        yield


@pytest.fixture(scope="module")
def net():
    return create(16, 1, seed=1)


@pytest.fixture(scope="module")
def face(net):
    """A face that no latents draw: half of one, half of another."""
    with torch.no_grad():
        one, other = net.source(net.w(net.sample_z([3, 4]))).image
    return torch.cat([one[:, :8], other[:, 8:]], 1)[None]


def distance(net, face, inverted):
    with torch.no_grad():
        residual = None if inverted.residual is None else {SITE: inverted.residual}
        return (net.source(inverted.w, residual=residual).image - face).square().mean().item()


def test_latents_come_closer_and_the_residual_closer_still(net, face):
    mean = Inverted(net.w_mean[None, None].expand(1, net.num_w, -1))
    w_alone = Inverter(replace(CONFIG, w_steps=10, canvas_steps=0), net, SITE).invert(face, progress=False)
    both = Inverter(replace(CONFIG, w_steps=10, canvas_steps=20), net, SITE).invert(face, progress=False)
    assert w_alone.residual is None
    assert distance(net, face, w_alone) < 0.9 * distance(net, face, mean)
    assert distance(net, face, both) < 0.5 * distance(net, face, w_alone)
    assert torch.equal(both.w, w_alone.w)


def test_no_steps_give_the_encoder_s_answer(net, face):
    answer = Inverter(replace(CONFIG, w_steps=0, canvas_steps=0), net, SITE).invert(face, progress=False)
    assert torch.allclose(answer.w, net.w_mean.expand(1, net.num_w, -1), atol=1e-5)
    assert answer.residual is None


def test_the_same_face_gives_the_same_inversion(net, face):
    one, other = (Inverter(CONFIG, net, SITE).invert(face, progress=False) for _ in range(2))
    assert torch.equal(one.w, other.w)
    assert torch.equal(one.residual, other.residual)


@pytest.mark.parametrize("stop", [2, 6], ids=["latents", "canvas"])
def test_an_interrupted_fit_goes_on_to_the_same_end(net, face, tmp_path, monkeypatch, stop):
    whole = Inverter(CONFIG, net, SITE).invert(face, progress=False)
    monkeypatch.setattr(module, "KEPT_EVERY", 1)
    step = module.Refinement.step

    def stopping(self, n):
        if n == stop:
            raise KeyboardInterrupt
        return step(self, n)

    state = tmp_path / "state.safetensors"
    monkeypatch.setattr(module.Refinement, "step", stopping)
    with pytest.raises(KeyboardInterrupt):
        Inverter(CONFIG, net, SITE).invert(face, state=state, progress=False)
    assert state.is_file()
    made = []
    monkeypatch.setattr(module.Refinement, "step", lambda self, n: made.append(n) or step(self, n))
    resumed = Inverter(CONFIG, net, SITE).invert(face, state=state, progress=False)
    assert made == list(range(stop, 8))
    assert torch.equal(resumed.w, whole.w)
    assert torch.equal(resumed.residual, whole.residual)
    assert not state.exists()


def test_the_state_of_another_face_is_refused(net, face, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "KEPT_EVERY", 1)
    state = tmp_path / "state.safetensors"
    inverter = Inverter(CONFIG, net, SITE)
    refinement, made_from = inverter._refinement(face, "good", None)
    refinement.step(0)
    module.save_state(state, refinement.unknowns, refinement.optimizer, 1, made_from)
    with pytest.raises(ValueError, match="another config"):
        inverter.invert(-face, state=state, progress=False)
    assert state.is_file()


def test_qualities_differ_in_their_steps(net):
    inverter = Inverter(InversionConfig(w_steps=100, canvas_steps=50), net, SITE)
    assert [inverter.steps(quality) for quality in ("quick", "good", "best")] == [(10, 5), (100, 50), (300, 150)]


def test_a_following_face_starts_where_the_last_one_ended(net, face):
    inverter = Inverter(replace(CONFIG, canvas_steps=15), net, SITE)
    first = inverter.invert(face, progress=False)
    moved = torch.roll(face, 1, 3)
    following = Inverter(replace(CONFIG, w_steps=0, canvas_steps=3), net, SITE).invert(
        moved, start=first, progress=False
    )
    afresh = Inverter(replace(CONFIG, w_steps=0, canvas_steps=3), net, SITE).invert(moved, progress=False)
    assert distance(net, moved, following) < distance(net, moved, afresh)


@pytest.mark.parametrize(("w_steps", "moves"), [(20, False), (60, True)])
def test_the_latents_of_a_following_face_stay_where_there_is_no_time_for_them(w_steps, moves, net, face):
    start = Inverted(net.w(net.sample_z([3])))
    config = replace(CONFIG, w_steps=w_steps, canvas_steps=1)
    found = Inverter(config, net, SITE).invert(face, start=start, progress=False)
    assert torch.allclose(found.w, start.w, atol=1e-3) != moves


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(1, 3, 8, 8),
        torch.zeros(2, 3, 16, 16),
        torch.full((1, 3, 16, 16), float("nan")),
        torch.zeros(3, 16, 16),
    ],
    ids=["size", "two", "nan", "no batch"],
)
def test_what_is_no_face_is_refused(net, wrong):
    with pytest.raises(ValueError, match="inversion reads"):
        Inverter(CONFIG, net, SITE).invert(wrong, progress=False)


@pytest.mark.parametrize("site", ["16.rgb", "8.rgb"])
def test_the_rgb_skip_is_a_view(net, face, site):
    config = replace(CONFIG, w_view=ViewConfig(site), canvas_view=ViewConfig(site), canvas_steps=15)
    mean = Inverted(net.w_mean[None, None].expand(1, net.num_w, -1))
    assert distance(net, face, Inverter(config, net, SITE).invert(face, progress=False)) < distance(net, face, mean)


def test_an_unknown_view_is_refused(net):
    with pytest.raises(ValueError, match="site '33.rgb' does not exist"):
        build_view(ViewConfig("33.rgb"), net)
    assert build_view(ViewConfig(), net) is None
