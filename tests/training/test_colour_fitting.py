"""Colours that the generator lacks: fitted to recoloured pictures, in force where the words ask for them."""

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy

from where2edit.core.records import Condition, Edit
from where2edit.editing.mappers.colour_shifts import CLOSE
from where2edit.editing.region_shares import belonging
from where2edit.training import colour_fitting
from where2edit.training.colour_fitting import fit_colours, suitable_faces
from where2edit.training.colour_targets import (
    COLOURS,
    RECOLOURED_WEIGHT,
    ColourTarget,
    LabShift,
    MeanTowards,
    lab,
    recoloured,
)
from where2edit.training.recolouring import region_colour

NAMES = ("Blue_Hair", "Gray_Hair")
MAPPER = toy.mapper(colours=NAMES, components=64)
WORDS = ["blue hair", "gray hair"]


@pytest.fixture(scope="module")
def fitted():
    """A method of 32 px whose colours have been fitted, on few faces and in few steps."""
    patch = pytest.MonkeyPatch()
    for name, value in {"FACES": 2, "TRIES": 20, "STEPS": 40, "SHIFT_RATE": 0.1}.items():
        patch.setattr(colour_fitting, name, value)
    method = toy.method(mapping=MAPPER, resolution=32).requires_grad_(False)
    fit_colours(method, toy.encoder(), NAMES, 0.1, seed=0)
    yield method
    patch.undo()


def test_fitted_hair_is_nearer_to_the_recoloured_picture(fitted):
    errors = torch.zeros(2)  # before and after
    colours = [COLOURS[colour] for colour in NAMES]
    words = Condition(fitted.mapper.colours.colour_embeddings, fitted.mapper.colours.colour_embeddings, strength=0.1)
    for source, labels in suitable_faces(fitted, 0, use_preview_head=False):
        masks, wanted, seen = recoloured(fitted, source, labels, colours, parser=None)
        many = source.repeat(2)
        edit = fitted.render(many, Edit(styles=fitted.mapper(many, words)[0], mask=masks))
        errors += torch.stack([((lab(x.image) - wanted).abs() * seen).sum() for x in (many, edit)])
        assert torch.equal(edit.image * (seen == 0), source.image.expand(2, -1, -1, -1) * (seen == 0))
    assert errors[1] < 0.8 * errors[0]


def test_recolouring_goes_its_share_of_the_way_or_adds_a_shift():
    before = 0.3 + 0.1 * torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    mean = region_colour(before, mask)
    target, share = torch.tensor([[60.0, 10, 20]]), torch.tensor([[0.5, 0.8, 0.8]])
    change = torch.tensor([[-5.0, 6, 7]])
    recolourings = {
        MeanTowards((60, 10, 20), 0.8, 0.5): mean + share * (target - mean),
        LabShift((-5, 6, 7)): mean + change,
    }
    for change_colour, wanted in recolourings.items():
        after = change_colour(before, mask)
        assert torch.allclose(region_colour(after, mask), wanted, atol=0.5)
        assert torch.equal(after[..., 4:], before[..., 4:])


def test_a_target_recolours_its_own_parts(fitted):
    """The regions of the toy show hair, the upper lip and the background."""
    source, labels = next(suitable_faces(fitted, 0, use_preview_head=False))
    targets = [COLOURS[name] for name in ("Blue_Hair", "Red_Lips", "Pale_Skin")]
    masks, pictures, weights = recoloured(fitted, source, labels, targets, parser=None)
    names = fitted.frozen.regions.shares
    for mask, part in zip(masks, ("hair", "lips", "skin"), strict=True):
        assert torch.equal(mask[0], belonging(names, [part])[labels[0]].float())
    same = (pictures - lab(source.image)).abs().amax(1, keepdim=True) < 0.1
    assert same[weights == 0].all()
    assert weights.shape == (3, 1, 32, 32)


def test_a_spot_is_recoloured_and_counts_more_while_the_rest_of_its_parts_stays(fitted):
    class Parser:
        def labels(self, images):
            return torch.zeros(1, 64, 64)

    def left_half(labels):
        return (torch.arange(64) < 32).float().expand(1, 1, 64, 64)

    source, labels = next(suitable_faces(fitted, 0, use_preview_head=False))
    spot = ColourTarget(("hair",), LabShift((0, 40, 0)), left_half)
    masks, pictures, weights = recoloured(fitted, source, labels, [spot], Parser())
    moved = (pictures - lab(source.image)).abs().amax(1, keepdim=True) > 1
    hair = F.interpolate(masks, 32, mode="bilinear")
    assert moved[..., :16][hair[..., :16] > 0].any() and not moved[..., 16:].any()
    assert torch.equal(weights[..., 16:], hair[..., 16:])
    assert torch.equal(weights[..., :16], (1 + RECOLOURED_WEIGHT) * hair[..., :16])


def test_only_words_close_to_the_colours_bring_it_and_only_on_fine_sites(fitted):
    mapper = fitted.mapper
    words = F.normalize(mapper.colours.colour_embeddings, dim=1)
    other = torch.linalg.svd(words)[2][-1:]  # orthogonal to both
    middle = F.normalize(other + words[:1] * 0.6, dim=1)
    h = torch.cat([words[:1], other, middle])
    asked = mapper.colours(Condition(h, h, strength=0.2))
    shift, alone = asked.sites, asked.alone
    assert set(shift) == {site.name for site in fitted.frozen.generator.sites if site.resolution >= 32}
    low, high = CLOSE
    close = ((h @ words.T - low) / (high - low)).clamp(0, 1)
    share = close.square() / close.square().sum(1, keepdim=True).clamp_min(1e-6)
    for number, name in enumerate(shift):
        amount = 0.2 * close.amax(1, keepdim=True) * share
        for found, all_colours in zip(
            shift[name], (mapper.colours.colour_shifts, mapper.colours.shrinkage), strict=True
        ):
            assert torch.allclose(found, amount @ all_colours[:, number], atol=1e-5)
            assert found[0].any() and not found[1].any() and found[2].any()
    assert alone.flatten().tolist() == [1, 0, 0]


def test_words_for_nothing_but_the_colour_bring_nothing_else(fitted):
    source = toy.sources((31,), 32)
    mapper, words = fitted.mapper, fitted.mapper.colours.colour_embeddings
    u, lengths = mapper(source, Condition(words[:1], words[:1], strength=0.1))
    assert not lengths.any()
    for site in fitted.frozen.generator.sites:
        moved = not torch.equal(u[site.name], source.styles[site.name])
        assert moved == (site.name in mapper.colours.sites), site.name


def test_a_colour_shift_has_no_length_and_no_gradient(fitted):
    source, condition = toy.sources((31,), 32), toy.conditions().of(WORDS, 0.1, per_source=2)
    bare = toy.method(mapping=MAPPER, resolution=32)
    bare.load_state_dict(fitted.state_dict())
    with torch.no_grad():
        bare.mapper.colours.colour_shifts.zero_()
        bare.mapper.colours.shrinkage.zero_()
    (with_colour, lengths), (without, same) = (m.mapper(source.repeat(2), condition) for m in (fitted, bare))
    assert torch.equal(lengths, same)
    assert any(not torch.equal(with_colour[name], without[name]) for name in with_colour)
    trained = toy.method(mapping=MAPPER, resolution=32)
    u, _ = trained.mapper(source.repeat(2), condition)
    sum(value.sum() for value in u.values()).backward()
    assert len(list(trained.mapper.colours.parameters())) == 3
    assert all(kept.grad is None for kept in trained.mapper.colours.parameters())


def test_shrinkage_takes_its_share_of_the_source_away(fitted):
    """With a shrinkage of 1 and no shift every face gets the code of the mean face, at the recoloured sites."""
    method, words = toy.method(mapping=MAPPER, resolution=32), fitted.mapper.colours.colour_embeddings[:1]
    method.load_state_dict(fitted.state_dict())
    mapper, generator = method.mapper, method.frozen.generator
    with torch.no_grad():
        mapper.colours.colour_shifts.zero_()
        mapper.colours.shrinkage.fill_(10.0)  # at strength 0.1
        mapper.scales.fill_(1.0)
        mapper.directions.copy_(torch.eye(*mapper.directions.shape))
    source = toy.sources((31,), 32)
    u, _ = mapper(source, Condition(words, words, strength=0.1))
    w = source.w[:, 0].clone()
    components = mapper.options.components
    w[:, :components] = generator.w_mean[:components]
    for name in mapper.colours.sites:
        assert torch.allclose(u[name], generator.affine(generator.site(name), w), atol=1e-5)


def test_colours_of_one_target_share_one_shift_and_only_hair_shrinks():
    colours = ("Red_Lips", "Blue_Hair", "Wearing_Lipstick")
    method = toy.method(mapping=toy.mapper(colours=colours, components=64), resolution=32)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"FACES": 2, "TRIES": 20, "STEPS": 4}.items():
            patch.setattr(colour_fitting, name, value)
        fit_colours(method, toy.encoder(), colours, 0.1, seed=0)
    red, blue, lipstick = method.mapper.colours.colour_shifts
    assert torch.equal(red, lipstick) and not torch.equal(red, blue)
    assert not method.mapper.colours.shrinkage[0].any() and method.mapper.colours.shrinkage[1].any()
    assert (method.mapper.colours.shrinkage >= 0).all() and (0.1 * method.mapper.colours.shrinkage <= 1).all()


def test_what_cannot_be_fitted_is_refused(monkeypatch):
    monkeypatch.setattr(colour_fitting, "TRIES", 2)
    with pytest.raises(ValueError, match="colours need method.mapper.name=w_principal"):
        fit_colours(toy.method(mapping=toy.mapper("stylespace")), toy.encoder(), NAMES, 0.1, 0)
    method = toy.method(mapping=MAPPER, resolution=32)
    with pytest.raises(ValueError, match="options.colours has 'Bleu_Hair'; did you mean 'Blue_Hair'"):
        fit_colours(method, toy.encoder(), ("Bleu_Hair", "Gray_Hair"), 0.1, 0)
    monkeypatch.setattr(colour_fitting, "HAIR_SHARE", 1.0)
    with pytest.raises(ValueError, match="only 0 of 2 faces show hair; set method.mapper.options.colours=\\[\\]"):
        fit_colours(method, toy.encoder(), NAMES, 0.1, 0)
    regions = method.frozen.regions
    monkeypatch.setattr(regions, "shares", None)
    with pytest.raises(ValueError, match="need regions whose parts of a face are known; run scripts/cluster.py"):
        fit_colours(method, toy.encoder(), NAMES, 0.1, 0)
