"""The principal components of W: what they are, and that they are measured once."""

import math

import pytest
import torch
import toy_cases as toy

from where2edit.editing import principal_directions as module
from where2edit.editing.principal_directions import measured, principal_directions
from where2edit.generators.stylegan2 import create


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path))


def test_principal_directions_are_those_of_the_generators_own_samples():
    directions, scales = principal_directions(toy.generator(), 20, 1500, 7)
    z = torch.randn(1500, 512, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        centred = (toy.generator().mapping(z) - toy.generator().w_mean).double()
    values = torch.linalg.svdvals(centred)[:20] / math.sqrt(1500)
    assert torch.allclose(scales.double(), values, rtol=1e-4)
    assert torch.allclose(directions.T @ directions, torch.eye(20), atol=1e-5)
    along = centred @ directions.double() / scales.double()
    assert torch.allclose(along.square().mean(0), torch.ones(20, dtype=torch.float64), rtol=1e-3)
    assert (directions.gather(0, directions.abs().argmax(0, keepdim=True)) > 0).all(), "the sign must be fixed"


def test_they_are_measured_once_and_keep_their_bits(tmp_path, monkeypatch):
    generator, expected = toy.generator(), measured(toy.generator(), 5, 300, 1)
    first = principal_directions(generator, 5, 300, 1)
    monkeypatch.setattr(module, "measured", None)
    again = principal_directions(create(16, 1, seed=1), 5, 300, 1)  # the same network, built anew
    for one, other, own in zip(first, again, (expected["directions"].T, expected["scales"]), strict=True):
        assert torch.equal(one, own) and torch.equal(other, own)
        assert one.stride() == other.stride() == own.stride(), "the bits of a product depend on how its factors lie"
    others = ((generator, 4, 300, 1), (generator, 5, 301, 1), (generator, 5, 300, 2), (create(16, 1, 2), 5, 300, 1))
    for other in others:
        with pytest.raises(TypeError):
            principal_directions(*other)


def test_more_components_than_w_has_numbers_are_refused():
    for components in (0, 513):
        with pytest.raises(ValueError, match=f"components is {components}; allowed: 1 to 512"):
            principal_directions(toy.generator(), components, 50_000, 0)
