"""Colours that the generator lacks: fitted to recoloured pictures, in force where the words ask for them."""

import pytest
import torch
import toy_cases as toy

from where2edit.core.records import Condition
from where2edit.editing.face_parts import part_ids
from where2edit.editing.region_shares import belonging
from where2edit.training import colour_fitting
from where2edit.training.colour_fitting import fit_colours, suitable_faces
from where2edit.training.colour_targets import COLOURS, LabShift, MeanTowards, lab
from where2edit.training.recolouring import region_colour

BLEND = "16.conv1"  # of a generator of 32 px, so that three sites follow
NAMES = ("Blue_Hair", "Gray_Hair")
MAPPER = toy.mapper(colours=NAMES, components=64)
WORDS = ["blue hair", "gray hair"]
SMALL = {"FACES": 2, "TRIES": 20, "STEPS": 40}


def colour_method(colours=NAMES):
    mapping = toy.mapper(colours=colours, components=64)
    return toy.method(mapping=mapping, resolution=32, blend=BLEND).requires_grad_(False)


@pytest.fixture(scope="module")
def fitted():
    """A method whose colours have been fitted through a preview head, on few faces and in few steps."""
    patch = pytest.MonkeyPatch()
    for name, value in SMALL.items():
        patch.setattr(colour_fitting, name, value)
    method = colour_method()
    fit_colours(method, toy.encoder(), NAMES, 0.1, seed=0)
    yield method
    patch.undo()


def preview_errors(method, seed):
    """Mean errors [P,2] in Lab, before and after, of the preview's hair on the faces of `seed`; the mapper's tail."""
    colours, preview = method.mapper.colours, method.frozen.preview(True)
    words = Condition(colours.colour_embeddings, colours.colour_embeddings, strength=0.1)
    errors = []
    for source, labels in suitable_faces(method, seed):
        cells = method.frozen.regions.shares[labels].expand(2, -1, -1, -1)
        layer = method.mapper.tail(source.repeat(2), words, cells)
        where = belonging(method.frozen.regions.shares, ["hair"])[labels][:, None].float()
        assert torch.equal(layer.mask, where.expand(2, -1, -1, -1)), "a colour belongs to the cells of its parts"
        picture = (source.image + 1) / 2
        wanted = torch.cat([lab(2 * COLOURS[name].recolouring(picture, where) - 1) for name in NAMES])
        features = source.features[preview.site].expand(2, -1, -1, -1)
        seen = preview.head(features, source.styles | layer.styles)
        pair = [((lab(x) - wanted).abs() * where).sum((1, 2, 3)) / where.sum() for x in (source.image, seen)]
        errors.append(torch.stack(pair, 1))
    return torch.stack(errors).mean(0)


@pytest.mark.parametrize("seed, share", [(0, 0.7), (1, 0.9)])
def test_fitted_hair_is_nearer_to_the_recoloured_picture(fitted, seed, share):
    """Much on the faces of the fit, and on others too."""
    before, after = preview_errors(fitted, seed).T
    assert (after < share * before).all(), (before, after)


def test_parts_words_and_fading_of_each_colour_are_kept():
    names = ("Rosy_Cheeks", "Red_Lips")
    method = colour_method(names)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (SMALL | {"STEPS": 1}).items():
            patch.setattr(colour_fitting, name, value)
        fit_colours(method, toy.encoder(), names, 0.1, seed=0)
    colours = method.mapper.colours
    assert colours.colour_fades.tolist() == [1, 0]
    for row, part in zip(colours.colour_parts, ("apples", "lips"), strict=True):
        assert row.nonzero().flatten().tolist() == sorted(part_ids(part)) and set(row.tolist()) == {0.0, 1.0}
    assert torch.equal(colours.colour_embeddings, toy.encoder().text(["rosy cheeks", "red lips"]))
    assert not colours.colour_shifts[0].any(), "no region of the toy shows apples: nothing to fit"
    assert colours.colour_shifts[1].any(), "one shows the upper lip"


def test_the_loss_is_that_of_whole_previews_where_every_cell_is_drawn(fitted, monkeypatch):
    """Against a plain statement: the preview head on the whole canvas, averaged over the colour's cells."""
    method, targets = fitted, [COLOURS[name] for name in NAMES]
    preview, mapper = method.frozen.preview(True), method.mapper
    source, labels = next(suitable_faces(method, 0))
    example = colour_fitting._example(method, preview, source, labels, targets)
    where = belonging(method.frozen.regions.shares, ["hair"])[labels].flatten()
    draw = torch.Generator().manual_seed(1)
    shifts = torch.randn(2, len(mapper.colours.sites), 64, generator=draw) / 8
    shrinkage = torch.rand(2, len(mapper.colours.sites), 1, generator=draw)
    monkeypatch.setattr(colour_fitting, "CELLS", 40_000)
    found = colour_fitting._loss(method, preview, example, targets, shifts, shrinkage, draw)
    c, expected = mapper.coordinates(source.w[:, 0]), 0.0
    for number, target in enumerate(targets):
        styles, lengths = dict(source.styles), []
        for site, name in enumerate(mapper.colours.sites):
            move = shifts[number, site] - shrinkage[number, site] * c
            styles[name] = mapper.shifted(source, name, move)
            lengths.append((move + c).square().sum())
        picture = (source.image + 1) / 2
        wanted = lab(2 * target.recolouring(picture, where.view(1, 1, 16, 16).float()) - 1)
        seen = lab(preview.head(source.features[preview.site], styles))
        error = (seen - wanted).abs().mean(1).flatten()[where].mean() / colour_fitting.LAB_UNIT
        expected += error + target.length_weight * torch.stack(lengths).mean()
    assert found.item() == pytest.approx(expected.item(), rel=0.01)


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


def test_words_for_nothing_but_the_colour_bring_nothing_else(fitted):
    source = toy.sources((31,), 32)
    mapper, words = fitted.mapper, fitted.mapper.colours.colour_embeddings
    condition = Condition(words[:1], words[:1], strength=0.1)
    u, lengths = mapper(source, condition)
    assert not lengths.any() and all(torch.equal(u[name], source.styles[name]) for name in u)
    styles = mapper.tail(source, condition, None).styles
    later = [site.name for site in fitted.frozen.generator.sites if site.resolution > 16]
    assert list(styles) == later and not any(torch.equal(styles[name], source.styles[name]) for name in later)


def test_at_strength_zero_a_colour_is_the_source_bit_for_bit(fitted):
    source, words = toy.sources((31,), 32), fitted.mapper.colours.colour_embeddings[:1]
    with torch.no_grad():
        edit = fitted(source, Condition(words, words, strength=0.0, threshold=0.0))
    assert edit.layers and torch.equal(edit.image, source.image)


def test_a_colour_shift_has_no_length_and_no_gradient(fitted):
    source, condition = toy.sources((31,), 32), toy.conditions().of(WORDS, 0.1, per_source=2)
    bare = colour_method()
    bare.load_state_dict(fitted.state_dict())
    with torch.no_grad():
        bare.mapper.colours.colour_shifts.zero_()
        bare.mapper.colours.shrinkage.zero_()
    many = source.repeat(2)
    (with_colour, lengths), (without, same) = (m.mapper(many, condition) for m in (fitted, bare))
    assert torch.equal(lengths, same) and all(torch.equal(with_colour[name], without[name]) for name in with_colour)
    colourful, plain = (m.mapper.tail(many, condition, None).styles for m in (fitted, bare))
    assert all(torch.equal(plain[name], many.styles[name]) for name in plain)
    assert not any(torch.equal(colourful[name], plain[name]) for name in plain)
    trained = colour_method()
    trained.load_state_dict(fitted.state_dict())
    trained.requires_grad_(True)
    edit = trained(source, condition, use_preview_head=True)
    assert edit.layers
    edit.image.square().sum().backward()
    assert len(list(trained.mapper.colours.parameters())) == 5
    assert all(kept.grad is None for kept in trained.mapper.colours.parameters())
    assert any(p.grad is not None and p.grad.any() for p in trained.attention.parameters())


def test_shrinkage_takes_its_share_of_the_source_away(fitted):
    """With a shrinkage of 1 and no shift every face gets the code of the mean face, at the sites of the tail."""
    method, words = colour_method(), fitted.mapper.colours.colour_embeddings[:1]
    method.load_state_dict(fitted.state_dict())
    mapper, generator = method.mapper, method.frozen.generator
    with torch.no_grad():
        mapper.colours.colour_shifts.zero_()
        mapper.colours.shrinkage.fill_(10.0)  # at strength 0.1
        mapper.scales.fill_(1.0)
        mapper.directions.copy_(torch.eye(*mapper.directions.shape))
    source = toy.sources((31,), 32)
    styles = mapper.tail(source, Condition(words, words, strength=0.1), None).styles
    w = source.w[:, 0].clone()
    components = mapper.options.components
    w[:, :components] = generator.w_mean[:components]
    assert list(styles) == list(mapper.colours.sites)
    for name in mapper.colours.sites:
        assert torch.allclose(styles[name], generator.affine(generator.site(name), w), atol=1e-5)


def test_colours_of_one_target_share_one_shift_and_only_hair_shrinks():
    colours = ("Red_Lips", "Blue_Hair", "Wearing_Lipstick")
    method = colour_method(colours)
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
    method = colour_method()
    with pytest.raises(ValueError, match="options.colours has 'Bleu_Hair'; did you mean 'Blue_Hair'"):
        fit_colours(method, toy.encoder(), ("Bleu_Hair", "Gray_Hair"), 0.1, 0)
    with pytest.raises(ValueError, match="needs a preview head: set preview_head.weights"):
        fit_colours(toy.method(mapping=MAPPER, resolution=32), toy.encoder(), NAMES, 0.1, 0)
    monkeypatch.setattr(colour_fitting, "HAIR_SHARE", 1.0)
    with pytest.raises(ValueError, match="only 0 of 2 faces show hair; set method.mapper.options.colours=\\[\\]"):
        fit_colours(method, toy.encoder(), NAMES, 0.1, 0)
    monkeypatch.setitem(method.frozen.regions._buffers, "measured", None)
    with pytest.raises(ValueError, match="need regions whose parts of a face are known; run scripts/cluster.py"):
        fit_colours(method, toy.encoder(), NAMES, 0.1, 0)
