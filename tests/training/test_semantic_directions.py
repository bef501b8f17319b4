"""Semantic directions: the regression, and that they point where the words are true."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy
from sklearn.linear_model import Ridge

from where2edit.training.semantic_directions import (
    RIDGE,
    fit_semantic_directions,
    ridge_regression,
    second_moments,
)


def test_the_regression_is_that_of_scikit_learn():
    random = torch.Generator().manual_seed(0)
    c = torch.randn(200, 5, generator=random) + 1
    e = c @ torch.randn(5, 7, generator=random) + 0.5 * torch.randn(200, 7, generator=random) + 3
    expected = Ridge(alpha=RIDGE * 200).fit(c.double().numpy(), e.double().numpy()).coef_
    parts = [
        second_moments(c[rows], e[rows]) for rows in (slice(0, 70), slice(70, 200))
    ]  # as two processes would have it
    assert np.allclose(ridge_regression(sum(parts), 5).numpy(), expected, atol=1e-6)


@pytest.mark.slow
def test_an_edit_along_its_semantic_direction_raises_the_cosine_to_its_prompt_on_new_faces():
    method = toy.method(mapping=toy.mapper(direction_faces=640)).requires_grad_(False)
    prompts = list(toy.PROMPTS)
    sources = toy.sources((70, 71, 72, 73))
    condition = toy.conditions().of(prompts * 4, 0.1, per_source=len(prompts))

    def rises():
        u, _ = method.mapper(sources.repeat(len(prompts)), condition)
        after = F.normalize(toy.encoder().image(toy.generator().synthesis(u)), dim=1)
        before = F.normalize(toy.encoder().image(sources.image), dim=1).repeat_interleave(len(prompts), 0)
        return ((after - before) * F.normalize(condition.h, dim=1)).sum(1)

    at_random = rises()
    fit_semantic_directions(method, toy.encoder(), 640, seed=0)
    assert (rises() > 0).float().mean() > 0.8 and rises().mean() > at_random.mean().abs()
    length = method.mapper(sources.take([0]), replace(condition, h=condition.h[:1]))[1]
    assert torch.allclose(length, torch.full_like(length, 3.5), atol=0.5), "three and a half deviations at strength 0.1"


def test_a_mapper_without_semantic_directions_is_refused():
    for name in ("stylespace", "w_principal"):
        with pytest.raises(ValueError, match="semantic directions need method.mapper.name=w_principal"):
            fit_semantic_directions(toy.method(mapping=toy.mapper(name)), toy.encoder(), 16, seed=0)
