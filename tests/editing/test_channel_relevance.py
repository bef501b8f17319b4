"""The relevance of channels: both ways on a generator whose picture is its styles, the sites, and the cache."""

import math
from types import SimpleNamespace

import pytest
import torch
import toy_cases as toy
from tqdm import tqdm

from where2edit.editing import channel_relevance as relevance
from where2edit.editing.channel_relevance import Look, RelevanceConfig, channel_sites, style_spread
from where2edit.editing.preview_head import Preview
from where2edit.generators.base import Canvas, Site
from where2edit.generators.mobilestylegan import MobileStyleGAN
from where2edit.generators.stylegan2 import StyleGAN2

SITES = (Site(4, "conv1", 2, 2, up=1, spread=0), Site(8, "conv1", 2, 2, up=1, spread=0))


class Written:
    """A generator of two sites: the first writes its style, the second adds twice its own; the picture is the sum."""

    sites, by_name = SITES, {site.name: site for site in SITES}

    def styles(self, w):
        return {site.name: w[:, number] for number, site in enumerate(SITES)}

    def start(self, batch):
        return Canvas(torch.zeros(batch, 2, 1, 1))

    def step(self, site, canvas, style):
        return canvas.rewrite(site, canvas.features + (1 + (site is SITES[1])) * style[:, :, None, None])

    def image(self, canvas):
        return canvas.features

    def site(self, name):
        return self.by_name[name]

    def upto(self, name):
        return SITES[: SITES.index(self.by_name[name]) + 1]


ENCODER = SimpleNamespace(image=lambda images: images.flatten(1), dim=2)
W = torch.tensor([[[1.0, 2.0], [1.0, 1.0]]])  # the picture is (1, 2) + 2 (1, 1) = (3, 4), of length 5
SPREAD = {"4.conv1": torch.tensor([3.0, 0.5]), "8.conv1": torch.tensor([1.0, 2.0])}
# What e = x/|x| gains by the numbers of x: (1 - e e^T)/5 with e = (0.6, 0.8).
SLOPES = torch.tensor([[0.64, -0.48], [-0.48, 0.36]]) / 5


def test_the_limit_is_the_slope_of_the_unit_embedding_for_each_standard_deviation():
    with torch.no_grad():  # an editor may be built where gradients are off
        found = Look(Written(), ENCODER, None).slopes(W, SITES, SPREAD, tqdm(disable=True))
    assert torch.allclose(found[:2], SLOPES * torch.tensor([[3.0], [0.5]]))
    assert torch.allclose(found[2:], 2 * SLOPES * torch.tensor([[1.0], [2.0]]))


def test_differences_move_one_channel_both_ways_by_so_many_standard_deviations():
    """Channel 0 by 1 standard deviation of 3: from (3, 4) to (6, 4) and (0, 4). The mean is over two faces."""
    faces = torch.cat([W, torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])])  # the second picture is (1, 0): to (4, 0), (-2, 0)
    found = Look(Written(), ENCODER, None).differences(faces, SITES, SPREAD, 1.0)
    first = (torch.tensor([6.0, 4.0]) / math.sqrt(52) - torch.tensor([0.0, 1.0])) / 2
    assert torch.allclose(found[0], (first + torch.tensor([1.0, 0.0])) / 2)
    assert found.shape == (4, 2)


def test_small_moves_give_the_limit():
    look = Look(Written(), ENCODER, None)
    limit = look.slopes(W, SITES, SPREAD, tqdm(disable=True))
    assert torch.allclose(look.differences(W, SITES, SPREAD, 1e-2), limit, atol=1e-4)


def test_a_preview_head_knows_the_styles_of_later_sites():
    """The head adds twice the style of the second site, which is not walked: the same picture, the same relevance."""

    def head(features, styles):
        return features + 2 * styles["8.conv1"][:, :, None, None]

    whole, seen = Look(Written(), ENCODER, None), Look(Written(), ENCODER, Preview(head, "4.conv1"))
    assert [site.name for site in seen.walked] == ["4.conv1"]
    for find in ("slopes", "differences"):
        last = tqdm(disable=True) if find == "slopes" else 0.5
        a, b = (getattr(look, find)(W, SITES, SPREAD, last) for look in (whole, seen))
        assert torch.allclose(a, b)


def test_channels_are_those_of_convolutions():
    with torch.device("meta"):
        paper, mobile = channel_sites(StyleGAN2(1024, 2)), channel_sites(MobileStyleGAN())
    assert len(paper) == 17 and not any(site.rgb for site in paper)
    assert sum(site.width for site in paper) == 6048  # as the paper counts them, without RGB
    assert sum(site.width for site in mobile) == 3744 and {site.role for site in mobile} == {"conv0", "conv1"}
    assert [site.name for site in channel_sites(toy.generator(), 8)] == ["4.conv1", "8.conv0", "8.conv1"]


def test_standard_deviations_are_those_of_many_faces():
    generator = toy.generator(8)
    sites = channel_sites(generator)[:1]
    with torch.no_grad():
        w = generator.mapping(torch.randn(4000, 512, generator=torch.Generator().manual_seed(9)))
        expected = generator.affine(sites[0], w).std(0)
    assert torch.allclose(style_spread(generator, sites)["4.conv1"], expected, rtol=0.15)


def test_it_is_measured_once_for_a_generator_an_encoder_and_a_config(monkeypatch, tmp_path):
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path))
    generator, encoder, sites, asked = toy.generator(8), toy.encoder(), channel_sites(toy.generator(8), 4), []

    def measure(*arguments):
        asked.append(arguments[-1])
        return torch.full((512, encoder.dim), float(len(asked)))

    monkeypatch.setattr(relevance, "measured", measure)
    for config in (RelevanceConfig(), RelevanceConfig(), RelevanceConfig(faces=9), RelevanceConfig(moved=5.0)):
        found = relevance.channel_relevance(generator, encoder, None, sites, config)
        assert found.shape == (512, 32) and (found == len(asked)).all()
    assert [(config.faces, config.moved) for config in asked] == [(8, 0), (9, 0), (8, 5)]


@pytest.mark.slow
@pytest.mark.parametrize("moved", [0.0, 0.01])
def test_both_ways_agree_on_a_generator(moved):
    """The channels of one site of the toy generator, from two faces."""
    generator, config = toy.generator(8), RelevanceConfig(faces=2, moved=moved)
    sites = channel_sites(generator)[2:]
    found = relevance.measured(generator, toy.encoder(), None, sites, config)
    limit = relevance.measured(generator, toy.encoder(), None, sites, RelevanceConfig(faces=2))
    assert found.shape == (512, 32) and found.any() and torch.allclose(found, limit, atol=1e-3)
