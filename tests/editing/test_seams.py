"""Seams: contracts over every registered one, and the screened one against a dense system and known solutions."""

import pytest
import torch
import toy_cases as toy

from where2edit.core.config import build_options
from where2edit.editing.certificate import certify, halo
from where2edit.editing.seams import SEAMS
from where2edit.editing.seams.base import Seam, SeamConfig
from where2edit.generators.stylegan2 import create


def seam(name="screened", **options):
    return SeamConfig(name, options).built()


def canvases(channels=3, size=12, batch=2, dtype=torch.float32):
    draw = torch.Generator().manual_seed(0)
    edited, source = (torch.randn(batch, channels, size, size, generator=draw).to(dtype) for _ in range(2))
    mask = torch.zeros(batch, 1, size, size, dtype=dtype)
    mask[0, :, 3:9, 2:8] = 0.7
    mask[-1, :, :5, 6:] = 1.0  # touches two borders of the picture
    mask[-1, :, 9, 1] = 0.2  # and a lone cell
    return edited, source, mask


@pytest.fixture(scope="module")
def generator():
    return create(64, 1, seed=1)


@pytest.mark.parametrize("name", SEAMS.names())
def test_only_cells_inside_the_mask_change_and_nothing_where_there_is_no_rim(name):
    edited, source, mask = canvases()
    found = seam(name)(edited, source, mask)
    outside = (mask == 0).expand_as(edited)
    assert found.shape == edited.shape and torch.equal(found[outside], edited[outside])
    for whole in (torch.zeros_like(mask), torch.full_like(mask, 0.5)):
        assert torch.equal(seam(name)(edited, source, whole), edited)


@pytest.mark.parametrize("name", SEAMS.names())
def test_an_edit_with_a_seam_is_local_and_exact_at_both_ends(name, generator):
    with torch.no_grad():
        source = generator.source(generator.w(generator.sample_z([0, 1])))
        styles = generator.styles(generator.w(generator.sample_z([5, 6])))
        mask = torch.zeros(2, 1, 16, 16)
        mask[..., 6:9, 5:10] = 1
        image = toy.blended_walk(generator, source, styles, mask, "16.conv1", seam=seam(name))[1]
        certificates = certify(source.image, image, mask, halo(generator, "16.conv1"))
        assert all(each.local and each.changed > 0 for each in certificates)
        nothing = toy.blended_walk(generator, source, styles, 0 * mask, "16.conv1", seam=seam(name))[1]
        assert torch.equal(nothing, source.image)
        ends = [
            toy.blended_walk(generator, source, styles, 0 * mask + 1, "16.conv1", seam=s)[1] for s in (seam(name), None)
        ]
        assert torch.equal(*ends)


def test_the_sparse_solution_equals_the_dense_one_in_values_and_gradients():
    edited, source, mask = (x.requires_grad_(x.shape[1] > 1) for x in canvases(dtype=torch.float64))
    found = []
    for impl in ("fast", "reference"):
        value = seam(impl=impl)(edited, source, mask)
        weight = torch.linspace(-1, 1, value.numel(), dtype=torch.float64).view_as(value)
        found.append((value, *torch.autograd.grad((value * weight).sum(), (edited, source))))
    for fast, reference in zip(*found, strict=True):
        torch.testing.assert_close(fast, reference, rtol=0, atol=1e-10)


def test_the_correction_solves_the_screened_laplace_equation():
    edited, source, mask = canvases(dtype=torch.float64)
    c, inside = seam(screening=0.3)(edited, source, mask) - edited, (mask > 0)[:, 0]
    c = torch.where(inside[:, None], c, source - edited)  # what the equation sees outside
    for b, i, j in inside.nonzero().tolist():
        around = [(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)]
        near = [c[b, :, y, x] for y, x in around if 0 <= y < 12 and 0 <= x < 12]
        left = sum(c[b, :, i, j] - each for each in near) + 0.3 * c[b, :, i, j]
        assert left.abs().max() < 1e-10


def test_a_constant_step_vanishes_without_screening_and_fades_with_it():
    size, mask = 21, torch.zeros(1, 1, 21, 21)
    mask[..., 3:18, 3:18] = 1
    edited, source = torch.zeros(1, 1, size, size), torch.ones(1, 1, size, size)
    membrane = seam(screening=0.0)(edited, source, mask)[mask > 0]
    torch.testing.assert_close(membrane, torch.ones_like(membrane))
    row = seam()(edited, source, mask)[0, 0, 10, 3:11]  # from the rim to the middle
    assert (row.diff() < 0).all() and row[0] > 0.6 and row[-1] < 0.2


def test_what_is_not_allowed_is_refused():
    with pytest.raises(ValueError, match="blending.seam.options.screening is -1.0; allowed: 0 to"):
        SeamConfig("screened", {"screening": -1.0})
    with pytest.raises(ValueError, match="unknown key 'blending.seam.options.strength'"):
        SeamConfig("none", {"strength": 1.0})
    with pytest.raises(ValueError, match="unknown seam 'screend'; did you mean 'screened'"):
        SeamConfig("screend")
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (Seam,), {})()


def test_a_method_edits_with_the_seam_of_its_config():
    plain, fitted = (toy.method(seam=SeamConfig(name)) for name in ("none", "screened"))
    source, condition = toy.sources((0,)), toy.condition(per_source=2, strength=0.5)
    mask = torch.zeros(2, 1, 16, 16)
    mask[..., 4:9, 4:9] = 1
    with torch.no_grad():
        proposed = plain.propose(source, condition).with_(mask=mask)
        images = [each.render(source.repeat(2), proposed).image for each in (plain, fitted)]
    assert not torch.equal(*images)
    assert build_options(SEAMS, "screened", {}, "x").screening == 0.15
