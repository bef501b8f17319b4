"""Aiming the mapper before training: the regression, and that it points where the words are true."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy
from sklearn.linear_model import Ridge

from where2edit.training.aiming import RIDGE, _moments, aim, regression


def test_the_regression_is_that_of_scikit_learn():
    random = torch.Generator().manual_seed(0)
    c = torch.randn(200, 5, generator=random) + 1
    e = c @ torch.randn(5, 7, generator=random) + 0.5 * torch.randn(200, 7, generator=random) + 3
    expected = Ridge(alpha=RIDGE * 200).fit(c.double().numpy(), e.double().numpy()).coef_
    parts = [_moments(c[rows], e[rows]) for rows in (slice(0, 70), slice(70, 200))]  # as two processes would have it
    assert np.allclose(regression(sum(parts), 5).numpy(), expected, atol=1e-6)


def test_an_aimed_edit_raises_the_cosine_to_its_prompt_on_new_faces():
    method = toy.method(mapper=replace(toy.MAPPER, aim=640)).requires_grad_(False)
    prompts = list(toy.PROMPTS)
    sources = toy.sources((70, 71, 72, 73))
    condition = toy.conditions().of(prompts * 4, 0.1, per_source=len(prompts))

    def rises():
        u, _ = method.mapper(sources.repeat(len(prompts)), condition)
        after = F.normalize(toy.encoder().image(toy.generator().synthesis(u)), dim=1)
        before = F.normalize(toy.encoder().image(sources.image), dim=1).repeat_interleave(len(prompts), 0)
        return ((after - before) * F.normalize(condition.h, dim=1)).sum(1)

    at_random = rises()
    aim(method, toy.encoder(), 640, seed=0, use_preview_head=False)
    assert (rises() > 0).float().mean() > 0.8 and rises().mean() > at_random.mean().abs()
    length = method.mapper(sources.take([0]), replace(condition, h=condition.h[:1]))[1]
    assert torch.allclose(length, torch.full_like(length, 3.5), atol=0.5), "three and a half deviations at strength 0.1"


def test_a_mapper_without_axes_cannot_be_aimed():
    for space in (toy.SPACES["stylespace"], toy.MAPPER):
        with pytest.raises(ValueError, match="method.mapper.aim needs method.mapper.space=w_principal"):
            aim(toy.method(mapper=space), toy.encoder(), 16, seed=0, use_preview_head=False)
