"""Contracts that every registered attention keeps; a new file in where2edit/editing/attention is found by itself."""

import pytest
import torch
import toy_cases as toy

from where2edit.editing.attention import ATTENTIONS
from where2edit.editing.attention.base import AttentionConfig, build_attention

R = 16  # px of the toy generator, which is blended at its last convolution


@pytest.fixture(params=ATTENTIONS.names())
def attention(request):
    torch.manual_seed(0)
    return build_attention(toy.generator(), f"{R}.conv1", toy.encoder().dim, AttentionConfig(request.param))


def test_one_number_between_zero_and_one_per_pixel_and_prompt(attention):
    h = toy.condition(n=2, per_source=1).h_attention
    a = attention.eval()(toy.sources((0, 1)).features, h)
    assert a.shape == (2, 1, R, R) and a.min() > 0 and a.max() < 1
    assert torch.equal(a, attention(toy.sources((0, 1)).features, h)), "there is no noise at inference"


def test_the_features_of_one_source_are_read_for_every_prompt(attention):
    source, h = toy.sources((0,)), toy.condition(per_source=3).h_attention
    shared, repeated = (attention.eval()(one.features, h) for one in (source, source.repeat(3)))
    assert shared.shape == (3, 1, R, R) and torch.allclose(shared, repeated, atol=1e-5)
    assert not torch.allclose(shared[0], shared[1]), "words must make a difference"


def test_what_is_released_gets_a_gradient_and_nothing_else_does(attention):
    attention.release()
    attention.train()(toy.sources((0,)).features, toy.condition(per_source=3).h_attention).square().mean().backward()
    released = [p for p in attention.parameters() if p.requires_grad]
    assert released and all(p.grad is not None and p.grad.any() for p in released)
    attention.release(False)
    assert not any(p.requires_grad for p in attention.parameters())
    assert all(p.grad is None for p in toy.generator().parameters())


def test_a_missing_input_is_named(attention):
    features, h = dict(toy.sources((0,)).features), toy.condition(per_source=1).h_attention
    del features[f"{R}.conv1"]
    with pytest.raises(ValueError, match=f"{R}.conv1.*which the source lacks"):
        attention(features, h)
