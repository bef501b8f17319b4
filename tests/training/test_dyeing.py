"""Colours that the generator lacks: fitted to painted pictures, in force where the words ask for them."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy

from where2edit.core.records import Condition, Edit
from where2edit.editing.region_shares import belonging
from where2edit.training import dyeing
from where2edit.training.dyeing import DYES, FOCUS, By, Dye, Towards, dye, lab, painted
from where2edit.training.recolouring import region_colour

COLOURS = ("Blue_Hair", "Gray_Hair")
MAPPER = replace(toy.MAPPER, dyes=COLOURS, components=64)
WORDS = ["blue hair", "gray hair"]


@pytest.fixture(scope="module")
def dyed():
    """A method of 32 px that has been dyed, on few faces and in few steps."""
    patch = pytest.MonkeyPatch()
    for name, value in {"FACES": 2, "LOOKS": 20, "STEPS": 40, "RATE": 0.1}.items():
        patch.setattr(dyeing, name, value)
    method = toy.method(mapper=MAPPER, resolution=32).requires_grad_(False)
    dye(method, toy.encoder(), COLOURS, 0.1, seed=0, use_preview_head=False)
    yield method
    patch.undo()


def test_dyed_hair_is_nearer_to_the_painted_picture(dyed):
    errors = torch.zeros(2)  # before and after
    colours = [DYES[colour] for colour in COLOURS]
    words = Condition(dyed.mapper.dye_words, dyed.mapper.dye_words, strength=0.1)
    for source, labels in dyeing._faces(dyed, 0, use_preview_head=False):
        masks, wanted, seen = painted(dyed, source, labels, colours, parser=None)
        many = source.repeat(2)
        edit = dyed.render(many, Edit(dyed.mapper(many, words)[0], masks))
        errors += torch.stack([((lab(x.image) - wanted).abs() * seen).sum() for x in (many, edit)])
        assert torch.equal(edit.image * (seen == 0), source.image.expand(2, -1, -1, -1) * (seen == 0))
    assert errors[1] < 0.8 * errors[0]


def test_paint_brings_its_share_of_a_colour_or_changes_it():
    before = 0.3 + 0.1 * torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    mean = region_colour(before, mask)
    target, share = torch.tensor([[60.0, 10, 20]]), torch.tensor([[0.5, 0.8, 0.8]])
    change = torch.tensor([[-5.0, 6, 7]])
    paints = {Towards((60, 10, 20), 0.8, 0.5): mean + share * (target - mean), By((-5, 6, 7)): mean + change}
    for paint, wanted in paints.items():
        after = paint(before, mask)
        assert torch.allclose(region_colour(after, mask), wanted, atol=0.5)
        assert torch.equal(after[..., 4:], before[..., 4:])


def test_a_dye_paints_its_own_parts(dyed):
    """The regions of the toy show hair, the upper lip and the background."""
    source, labels = next(dyeing._faces(dyed, 0, use_preview_head=False))
    dyes = [DYES[name] for name in ("Blue_Hair", "Red_Lips", "Pale_Skin")]
    masks, pictures, weights = painted(dyed, source, labels, dyes, parser=None)
    names = dyed.frozen.regions.shares
    for mask, part in zip(masks, ("hair", "lips", "skin"), strict=True):
        assert torch.equal(mask[0], belonging(names, [part])[labels[0]].float())
    same = (pictures - lab(source.image)).abs().amax(1, keepdim=True) < 0.1
    assert same[weights == 0].all()
    assert weights.shape == (3, 1, 32, 32)


def test_a_spot_is_painted_and_counts_more_while_the_rest_of_its_parts_stays(dyed):
    class Parser:
        def labels(self, images):
            return torch.zeros(1, 64, 64)

    def left_half(labels):
        return (torch.arange(64) < 32).float().expand(1, 1, 64, 64)

    source, labels = next(dyeing._faces(dyed, 0, use_preview_head=False))
    spot = Dye(("hair",), By((0, 40, 0)), left_half)
    masks, pictures, weights = painted(dyed, source, labels, [spot], Parser())
    moved = (pictures - lab(source.image)).abs().amax(1, keepdim=True) > 1
    hair = F.interpolate(masks, 32, mode="bilinear")
    assert moved[..., :16][hair[..., :16] > 0].any() and not moved[..., 16:].any()
    assert torch.equal(weights[..., 16:], hair[..., 16:])
    assert torch.equal(weights[..., :16], (1 + FOCUS) * hair[..., :16])


def test_only_words_close_to_the_dyes_bring_it_and_only_on_fine_sites(dyed):
    mapper = dyed.mapper
    words = F.normalize(mapper.dye_words, dim=1)
    other = torch.linalg.svd(words)[2][-1:]  # orthogonal to both
    middle = F.normalize(other + words[:1] * 0.6, dim=1)
    h = torch.cat([words[:1], other, middle])
    shift, alone = mapper.dye(Condition(h, h, strength=0.2))
    assert set(shift) == {site.name for site in dyed.frozen.generator.sites if site.resolution >= 32}
    low, high = mapper.CLOSE
    close = ((h @ words.T - low) / (high - low)).clamp(0, 1)
    share = close.square() / close.square().sum(1, keepdim=True).clamp_min(1e-6)
    for number, name in enumerate(shift):
        amount = 0.2 * close.amax(1, keepdim=True) * share
        for found, all_dyes in zip(shift[name], (mapper.dyes, mapper.bleach), strict=True):
            assert torch.allclose(found, amount @ all_dyes[:, number], atol=1e-5)
            assert found[0].any() and not found[1].any() and found[2].any()
    assert alone.flatten().tolist() == [1, 0, 0]


def test_words_for_nothing_but_the_dye_bring_nothing_else(dyed):
    source = toy.sources((31,), 32)
    mapper, words = dyed.mapper, dyed.mapper.dye_words
    u, lengths = mapper(source, Condition(words[:1], words[:1], strength=0.1))
    assert not lengths.any()
    for site in dyed.frozen.generator.sites:
        moved = not torch.equal(u[site.name], source.styles[site.name])
        assert moved == (site.name in mapper.dyed), site.name


def test_a_dye_has_no_length_and_no_gradient(dyed):
    source, condition = toy.sources((31,), 32), toy.conditions().of(WORDS, 0.1, per_source=2)
    bare = toy.method(mapper=MAPPER, resolution=32)
    bare.load_state_dict(dyed.state_dict())
    with torch.no_grad():
        bare.mapper.dyes.zero_()
        bare.mapper.bleach.zero_()
    (with_dye, lengths), (without, same) = (m.mapper(source.repeat(2), condition) for m in (dyed, bare))
    assert torch.equal(lengths, same)
    assert any(not torch.equal(with_dye[name], without[name]) for name in with_dye)
    trained = toy.method(mapper=MAPPER, resolution=32)
    u, _ = trained.mapper(source.repeat(2), condition)
    sum(value.sum() for value in u.values()).backward()
    assert all(kept.grad is None for kept in (trained.mapper.dyes, trained.mapper.bleach, trained.mapper.dye_words))


def test_bleach_takes_its_share_of_the_source_away(dyed):
    """With a bleach of 1 and no colour every face gets the code of the mean face, where it is dyed."""
    method, words = toy.method(mapper=MAPPER, resolution=32), dyed.mapper.dye_words[:1]
    method.load_state_dict(dyed.state_dict())
    mapper, generator = method.mapper, method.frozen.generator
    with torch.no_grad():
        mapper.dyes.zero_()
        mapper.bleach.fill_(10.0)  # at strength 0.1
        mapper.scales.fill_(1.0)
        mapper.directions.copy_(torch.eye(*mapper.directions.shape))
    source = toy.sources((31,), 32)
    u, _ = mapper(source, Condition(words, words, strength=0.1))
    w = source.w[:, 0].clone()
    w[:, : MAPPER.components] = generator.w_mean[: MAPPER.components]
    for name in mapper.dyed:
        assert torch.allclose(u[name], generator.affine(generator.site(name), w), atol=1e-5)


def test_colours_of_one_paint_are_one_dye_and_only_hair_is_bleached():
    colours = ("Red_Lips", "Blue_Hair", "Wearing_Lipstick")
    method = toy.method(mapper=replace(MAPPER, dyes=colours), resolution=32)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"FACES": 2, "LOOKS": 20, "STEPS": 4}.items():
            patch.setattr(dyeing, name, value)
        dye(method, toy.encoder(), colours, 0.1, seed=0, use_preview_head=False)
    red, blue, lipstick = method.mapper.dyes
    assert torch.equal(red, lipstick) and not torch.equal(red, blue)
    assert not method.mapper.bleach[0].any() and method.mapper.bleach[1].any()
    assert (method.mapper.bleach >= 0).all() and (0.1 * method.mapper.bleach <= 1).all()


def test_what_cannot_be_dyed_is_refused(monkeypatch):
    monkeypatch.setattr(dyeing, "LOOKS", 2)
    with pytest.raises(ValueError, match="method.mapper.dyes needs method.mapper.space=w_principal"):
        dye(toy.method(mapper=toy.SPACES["stylespace"]), toy.encoder(), COLOURS, 0.1, 0, use_preview_head=False)
    method = toy.method(mapper=MAPPER, resolution=32)
    with pytest.raises(ValueError, match="dyes has 'Bleu_Hair'; did you mean 'Blue_Hair'"):
        dye(method, toy.encoder(), ("Bleu_Hair", "Gray_Hair"), 0.1, 0, use_preview_head=False)
    monkeypatch.setattr(dyeing, "HAIRY", 1.0)
    with pytest.raises(ValueError, match="only 0 of 2 faces show hair; set method.mapper.dyes=\\[\\]"):
        dye(method, toy.encoder(), COLOURS, 0.1, 0, use_preview_head=False)
    regions = method.frozen.regions
    monkeypatch.setattr(regions, "shares", None)
    with pytest.raises(ValueError, match="needs regions with names; run scripts/cluster.py"):
        dye(method, toy.encoder(), COLOURS, 0.1, 0, use_preview_head=False)
