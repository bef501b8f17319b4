"""Contracts that every registered text-image encoder keeps; a new file in where2edit/text_image is found by itself."""

import pytest
import torch
import torch.nn.functional as F
from toy_cases import openai_net

from where2edit.core.config import build_section
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.base import TextImage, TextImageConfig

PROMPTS = ["red hair", "a big smile", "blue eyes"]


@pytest.fixture(scope="module", params=TEXT_IMAGE.names())
def encoder(request, tmp_path_factory):
    """The encoder with its default weights; clip with an archive of OpenAI's layout and random content."""
    weights = None
    if request.param == "clip":
        weights = str(tmp_path_factory.mktemp("clip") / "state.pt")
        torch.save({name: value for name, value in openai_net().state_dict().items() if name != "attn_mask"}, weights)
    return build_section(TEXT_IMAGE, TextImageConfig(request.param, weights), "text_image")


def images(count=2, size=40):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_it_is_frozen_and_says_what_it_is(encoder):
    assert isinstance(encoder, TextImage) and encoder.name in TEXT_IMAGE.names()
    assert not encoder.training and not any(p.requires_grad for p in encoder.parameters())
    assert encoder.dim > 0 and encoder.logit_scale > 0 and isinstance(encoder.unit_norm, bool)


@torch.no_grad()
def test_words_and_pictures_meet_in_one_space(encoder):
    h, e = encoder.text(PROMPTS), encoder.image(images())
    assert h.shape == (3, encoder.dim) and e.shape == (2, encoder.dim)
    assert torch.isfinite(h).all() and torch.isfinite(e).all()
    if encoder.unit_norm:
        for rows in (h, e):
            torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)))
    cosines = F.normalize(e, dim=1) @ F.normalize(h, dim=1).T
    torch.testing.assert_close(encoder.similarity(images(), PROMPTS), cosines)
    assert not torch.allclose(h[0], h[2]), "words must make a difference"


@torch.no_grad()
def test_a_prompt_and_a_picture_do_not_depend_on_their_batch(encoder):
    torch.testing.assert_close(encoder.text(PROMPTS)[1:2], encoder.text(PROMPTS[1:2]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoder.image(images())[1:2], encoder.image(images()[1:2]), rtol=1e-4, atol=1e-5)
    assert torch.equal(encoder.text(PROMPTS), encoder.text(PROMPTS))


def test_the_gradient_reaches_the_pixels_and_no_weight(encoder):
    pixels = images().requires_grad_()
    encoder.similarity(pixels, PROMPTS).square().sum().backward()
    assert pixels.grad.any() and all(p.grad is None for p in encoder.parameters())


@pytest.mark.parametrize("prompts", [[], "blond hair", [""], ["  "], [None]])
def test_prompts_that_are_no_words_are_refused(encoder, prompts):
    with pytest.raises(ValueError, match="prompt"):
        encoder.text(prompts)


@pytest.mark.parametrize("wrong", [torch.zeros(3, 8, 8), torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 8, 8).int()])
def test_pictures_that_are_no_pictures_are_refused(encoder, wrong):
    with pytest.raises(ValueError, match=encoder.name):
        encoder.image(wrong)


@torch.no_grad()
def test_a_prompt_that_is_too_long_is_refused_or_cut_with_one_warning(encoder):
    long, limit = "a " * 200, encoder.max_tokens
    if limit is None:
        assert torch.isfinite(encoder.text([long])).all()
        return
    with pytest.raises(ValueError, match=f"a prompt has 200 tokens, .* reads at most {limit}; shorten it: a a a"):
        encoder.text(["a smile", long])
    with pytest.warns(UserWarning, match=f"a prompt has 200 tokens, .* reads at most {limit}") as said:
        cut = [encoder.text([long], truncate=True) for _ in range(2)]
    assert len(said) == 1, "each later long prompt is cut without another word"
    assert torch.equal(cut[0], cut[1]) and torch.equal(cut[0], encoder.text(["a " * limit]))
