"""Natural strength: the smallest strength that reaches the goal, for every face and prompt of a batch."""

from dataclasses import replace

import pytest
import torch
import toy_cases as toy

from where2edit.core.records import Condition
from where2edit.editing.cosine_calibration import CosineCalibration, measure
from where2edit.editing.sequences import EarlierEdit, combine_with_earlier, next_source
from where2edit.editor.editor import Editor
from where2edit.editor.natural_strength import (
    STEP,
    NaturalStrength,
    NaturalStrengthConfig,
    ReverseConfig,
    at_strength,
    natural,
    stepped,
)
from where2edit.editor.steps import Step

CONFIG = NaturalStrengthConfig(calibration="none is read", rise=1.8, examples=0.5, ladder=(0.2, 0.4, 0.8), fades=1)
PROPOSED = 0.3  # the profile's own strength, of no rung
SEEDS = (0, 1)
SITE = "16.conv1"  # at which edits are blended


@pytest.fixture(scope="module")
def calibration():
    return measure(toy.generator(), toy.encoder(), None, 8, 0.7)


@pytest.fixture
def chooser(calibration):
    return NaturalStrength(CONFIG, calibration, toy.encoder(), PROPOSED)


@pytest.fixture(scope="module")
def method():
    return toy.half_open()


def proposed(method, source, n=2, per_source=2, strength=PROPOSED):
    condition = toy.condition(n=n, per_source=per_source, strength=strength)
    with torch.no_grad():
        return method.propose(source, condition), condition


STRENGTHS = torch.tensor([0.02, 0.04, 0.06, 0.08])


@pytest.mark.parametrize(
    "rises, expected",
    [
        ([0.9, 1.8, 2.7, 3.6], 0.04),  # reaches 1.8
        ([1.0, 1.4, 2.2, 3.6], 0.05),  # half-way between two strengths
        ([3.6, 3.6, 3.6, 3.6], 0.01),  # below the first strength, on the line from 0
        ([0.1, 0.2, 0.3, 0.4], 0.06),  # three quarters of its own largest rise
        ([0.1, 0.4, 0.2, 0.1], 0.02 + 0.02 * 2 / 3),  # the largest stands in the middle
        ([-0.4, -0.3, 0.0, 3.0], 0.072),  # nothing for a while
        ([-0.4, -0.1, -0.2, -0.3], 0.04),  # nothing gained: what loses least
        ([0.0, 0.0, 0.0, 0.0], 0.02),
        ([-0.1, -0.2, -0.3, -0.4], 0.02),
    ],
)
def test_the_smallest_strength_that_reaches_the_goal(rises, expected):
    both = torch.tensor([rises, [0.9, 1.8, 2.7, 3.6]])
    found = natural(STRENGTHS, both, rise=torch.full((2, 1), 1.8), share=0.75)
    assert found.shape == (2, 1) and found.isfinite().all()
    assert found[:, 0].tolist() == pytest.approx([expected, 0.04], abs=1e-6)


def test_the_strength_is_continuous_in_the_rises():
    rises = torch.tensor([[0.7, 1.7999, 2.6, 3.0], [0.7, 1.8001, 2.6, 3.0]])
    below, above = natural(STRENGTHS, rises, torch.full((2, 1), 1.8), 0.75)[:, 0].tolist()
    assert below == pytest.approx(above, abs=1e-4)


def test_the_ladder_has_strengths_between_its_rungs():
    assert CONFIG.strengths() == pytest.approx((0.1, 0.2, 0.3, 0.4, 0.6, 0.8))
    assert NaturalStrengthConfig().strengths() == pytest.approx([0.02 * i for i in range(1, 10)])
    assert replace(CONFIG, fades=0).strengths() == CONFIG.ladder


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"ladder": ()}, "ladder is \\[\\]; give rising numbers above 0, up to 1"),
        ({"ladder": (0.0, 0.1)}, r"ladder\[0\] is 0.0; allowed: above 0, up to 1"),
        ({"ladder": (0.2, 0.1)}, "ladder is"),
        ({"ladder": (0.2, 1.1)}, r"ladder\[1\] is 1.1"),
        ({"faces": 1}, "natural_strength.faces is 1; allowed: 2 to"),
        ({"fades": -1}, "fades is -1; allowed: 0 to 16"),
        ({"rise": 0.0}, "rise is 0.0; allowed: above 0, up to 100"),
        ({"share": 1.5}, "share is 1.5"),
        ({"examples": 0.0}, "examples is 0.0"),
        ({"examples": 1.1}, "examples is 1.1; allowed: above 0, up to 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(CONFIG, **change)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rise": 0.0}, "reverse.rise is 0.0; allowed: above 0, up to 100"),
        ({"examples": 0.0}, "reverse.examples is 0.0; allowed: above 0, up to 1"),
        ({"scale": 1.5}, "reverse.scale is 1.5; allowed: above 0, up to 1"),
    ],
)
def test_options_of_reversed_edits_that_make_no_sense_are_refused(change, sentence):
    with pytest.raises(ValueError, match=f"natural_strength.{sentence}"):
        ReverseConfig(**change)


@torch.no_grad()
def test_an_edit_is_scaled_as_the_mapper_would_have_scaled_it(method):
    source = toy.sources(SEEDS)
    edit, condition = proposed(method, source)
    factor = torch.tensor([[0.0], [0.25], [1.0], [1.5]])
    made = at_strength(source.repeat(2), edit, factor)
    expected = method.propose(source, replace(condition, strength=factor * PROPOSED))
    for site, style in made.styles.items():
        assert torch.allclose(style, expected.styles[site], rtol=1e-4, atol=1e-4)
        assert torch.equal(style[0], source.styles[site][0]) and torch.equal(style[2], edit.styles[site][2])
    assert torch.allclose(made.shift, expected.shift, rtol=1e-4) and torch.equal(made.mask, expected.mask)


def goal(calibration, source, prompt):
    """The rise [1,1] that is asked of a face: to the mean of the better half of faces, 0.3 at least, 1.8 at most."""
    cosines = (calibration.embeddings @ toy.encoder().text([prompt])[0]).sort(descending=True).values
    own = toy.encoder().similarity(source.image, [prompt])[0, 0]
    level = cosines[: len(cosines) // 2].mean()
    return torch.tensor([[min(max(((level - own) / cosines.std()).item(), 0.3), 1.8)]])


@torch.no_grad()
def test_a_face_that_has_it_already_is_asked_for_less(method, chooser, monkeypatch):
    """Rises of 1, 2 and 3 deviations; the face stands a little below natural examples, or far below, or above."""
    source = toy.sources((0,))
    edit, condition = proposed(method, source, n=1, per_source=1)
    edit = edit.with_(mask=torch.ones_like(edit.mask))
    chooser.config = replace(CONFIG, fades=0)
    rises = {0.2: 1.0, 0.4: 2.0, 0.8: 3.0}
    for below, wanted in ((0.8, 0.8), (-6.0, 0.3), (4.0, 1.8)):
        gains = iter(rises.values())
        monkeypatch.setattr(NaturalStrength, "rises", lambda self, *_, gains=gains: torch.full((1, 1), next(gains)))
        monkeypatch.setattr(
            CosineCalibration, "below_natural", lambda self, *_, below=below: torch.full((1,), float(below))
        )
        found = chooser.chosen(method, source, edit, condition).item()
        assert found == pytest.approx(0.2 * wanted, abs=1e-5)


@torch.no_grad()
def test_a_reversed_edit_goes_away_from_the_prompt_and_only_as_far_as_the_face_shows_it(method, chooser, monkeypatch):
    source = toy.sources((0,))
    edit, condition = proposed(method, source, n=1, per_source=1, strength=-PROPOSED)
    edit = edit.with_(mask=torch.ones_like(edit.mask))
    chooser.config = replace(CONFIG, fades=0, reverse=ReverseConfig(rise=1.6, scale=0.5))
    asked, shown = {}, []

    def below(self, embeddings, aim, share):
        asked[share] = torch.equal(aim, -condition.h)
        return torch.full((1,), shown[-1])

    monkeypatch.setattr(CosineCalibration, "below_natural", below)
    for face_shows, wanted in ((0.8, -0.5 * 0.2 * 0.8), (9.0, -0.5 * 0.2 * 1.6), (-2.0, 0.0)):
        shown.append(face_shows)
        gains = iter((1.0, 2.0, 3.0))
        monkeypatch.setattr(NaturalStrength, "rises", lambda self, *_, gains=gains: torch.full((1, 1), next(gains)))
        assert chooser.chosen(method, source, edit, condition).item() == pytest.approx(wanted, abs=1e-6)
    assert asked == {CONFIG.examples: True, ReverseConfig().examples: True}, "both towards the opposite of the prompt"
    monkeypatch.undo()
    made, strength = chooser.applied(method, source, edit, condition, more=1)
    assert -1 <= strength.item() <= 0
    expected = method.propose(source, replace(condition, strength=strength))
    for site, style in made.styles.items():
        assert torch.allclose(style, expected.styles[site], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_batch_of_sources_and_prompts_is_chosen_as_each_alone(method, chooser, calibration):
    """Against a slow statement of the rule: every picture made by itself, from the strength's own proposal."""
    sources = toy.sources(SEEDS)
    chooser.config = replace(CONFIG, fades=0)
    edit, condition = proposed(method, sources)
    found = chooser.chosen(method, sources, edit, condition)
    assert found.shape == (4, 1)
    for number in range(4):
        source, prompt = toy.sources((SEEDS[number // 2],)), condition.prompts[number]
        images = [method(source, toy.condition([prompt], per_source=1, strength=s)).image for s in CONFIG.ladder]
        cosines = toy.encoder().similarity(torch.cat([source.image, *images]), [prompt])[:, 0]
        rises = (cosines[1:] - cosines[0]) / calibration.spread(toy.encoder().text([prompt]))
        expected = natural(torch.tensor(CONFIG.ladder), rises[None], goal(calibration, source, prompt), 0.75).item()
        expected = expected if edit.mask[number].any() else PROPOSED
        assert found[number].item() == pytest.approx(expected, rel=0.05)
    assert len(set(found.flatten().tolist())) > 1, "some gain and some do not"


@torch.no_grad()
def test_pictures_between_the_rungs_are_cross_faded(chooser):
    lower, upper = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    faded = chooser.faded(lower, upper)
    assert faded.shape == (2, 2, 3, 4, 4) and torch.equal(faded[:, 1], upper)
    assert torch.allclose(faded[:, 0], (lower + upper) / 2)


@torch.no_grad()
def test_rungs_that_cannot_change_the_choice_are_not_looked_at(method, chooser, monkeypatch):
    sources, rungs, look = toy.sources(SEEDS), [], NaturalStrength.look
    edit, condition = proposed(method, sources)
    edit = edit.with_(mask=torch.ones_like(edit.mask))
    note = rungs.append
    monkeypatch.setattr(NaturalStrength, "look", lambda self, *what: note(what[-1][0].item()) or look(self, *what))
    whole = chooser.chosen(method, sources, edit, condition)
    assert rungs == pytest.approx(CONFIG.ladder)
    rungs.clear()
    gains = iter([torch.full((4, 2), 1.0), torch.full((4, 2), 2.5)])
    monkeypatch.setattr(NaturalStrength, "rises", lambda self, *_: next(gains))
    monkeypatch.setattr(CosineCalibration, "below_natural", lambda self, *_: torch.full((4,), 3.0))  # are asked 1.8
    found = chooser.chosen(method, sources, edit, condition)
    assert rungs == pytest.approx(CONFIG.ladder[:2]) and found.shape == whole.shape
    assert torch.allclose(found, torch.full((4, 1), 0.2 + 0.1 * 0.8 / 1.5))


@torch.no_grad()
def test_a_mask_of_the_users_own_counts_and_an_empty_one_leaves_the_strength_alone(method, chooser):
    source = toy.sources((0,))
    edit, condition = proposed(method, source, n=1, per_source=2)
    half = torch.zeros_like(edit.mask)
    half[:1, :, :, :8] = 1  # the second edit is empty
    found = chooser.chosen(method, source, edit.with_(mask=half), condition)
    assert found[1].item() == pytest.approx(PROPOSED) and found[0].item() != pytest.approx(PROPOSED)
    repeated = source.repeat(2)
    seen = chooser.look(method, repeated, edit.with_(mask=half), (), torch.full((2, 1), chooser.proposed))
    assert torch.equal(seen, method.render(repeated, edit.with_(mask=half)).image)
    assert not torch.allclose(seen, method.render(repeated, edit).image, atol=1e-2)
    nothing = chooser.chosen(method, source, edit.with_(mask=torch.zeros_like(half)), condition)
    assert nothing.flatten().tolist() == pytest.approx([PROPOSED] * 2)


@pytest.fixture(scope="module")
def coloured():
    """A method with colours, and what chooses its strengths, through the preview head."""
    built = toy.coloured()
    frozen = built.frozen
    found = measure(frozen.generator, toy.encoder(), frozen.preview(True), 8, 0.7)
    return built, NaturalStrength(CONFIG, found, toy.encoder(), PROPOSED)


@torch.no_grad()
def test_an_edit_of_colour_alone_keeps_the_strength_at_which_colours_are_whole(coloured, monkeypatch):
    (method, chooser), source = coloured, toy.sources((0,), 32)
    condition = toy.colour_words(method, PROPOSED)
    edit = method.propose(source, condition)
    monkeypatch.setattr(NaturalStrength, "look", lambda *_: pytest.fail("there is nothing to choose"))
    made, strengths = chooser.applied(method, source, edit, condition)
    assert strengths.tolist() == [[pytest.approx(PROPOSED)]] and made.tail is edit.tail
    seen, whole = (method.render(source, each).image for each in (made, edit))
    assert torch.allclose(seen, whole, atol=1e-6) and not torch.equal(whole, source.image)


@torch.no_grad()
def test_colour_alone_beside_other_edits_does_not_change_their_choice(coloured):
    (method, chooser), source = coloured, toy.sources((0,), 32)
    other = toy.condition(["a beard"], per_source=1, strength=PROPOSED)
    h = torch.cat([method.mapper.colours.colour_embeddings[:1], other.h])
    both = replace(other, h=h, h_attention=h, threshold=0.0, per_source=2)
    edit = method.propose(source, both)
    assert edit.mask.all()
    found = chooser.chosen(method, source, edit, both)
    alone = replace(other, threshold=0.0)
    expected = chooser.chosen(method, source, method.propose(source, alone), alone)
    assert found[0].item() == pytest.approx(PROPOSED)
    assert found[1].item() == pytest.approx(expected.item(), rel=0.01) and expected.item() != pytest.approx(PROPOSED)


@torch.no_grad()
def test_natural_strength_leaves_a_colour_whole_and_more_and_less_scale_it(coloured):
    (method, chooser), source = coloured, toy.sources((0,), 32)
    words = method.mapper.colours.colour_embeddings[:1]
    h = words / words.norm() + 1.2 * toy.conditions().embed(["a beard"]) / words.shape[1] ** 0.5  # and something else
    condition = Condition(h, h, PROPOSED, threshold=0.0)
    edit, strengths = method.propose(source, condition), torch.tensor([[0.1]])
    assert edit.tail is not None and edit.shift.any()
    for more in (0, 1, -2):
        made = chooser.scaled(source, edit, strengths, more)
        assert torch.equal(made.tail.mask, edit.tail.mask)
        for name, s in source.styles.items():
            expected = s + (edit.styles[name] - s) * 0.1 / PROPOSED
            assert torch.allclose(made.styles[name], expected, atol=1e-4), "the rest follows the strength"
        for name, u in edit.tail.styles.items():
            expected = source.styles[name] + (u - source.styles[name]) * 1.5**more
            assert torch.allclose(made.tail.styles[name], expected, rtol=1e-4, atol=1e-4)
    made, chosen = chooser.applied(method, source, edit, condition, more=1)
    again = chooser.scaled(source, edit, chosen, 1)
    assert torch.equal(method.render(source, made).image, method.render(source, again).image)


@torch.no_grad()
def test_in_a_sequence_the_canvas_before_the_step_is_what_a_rise_is_measured_from(method, chooser):
    source = toy.sources((0,))
    edit, condition = proposed(method, source, n=1, per_source=1)
    first = method.render(source, edit)
    earlier, canvas = (EarlierEdit.of(source, first),), next_source(source, first)
    second = method.propose(canvas, toy.condition(["a beard"], per_source=1, strength=chooser.proposed))
    picture, embedded = chooser.unedited(method, canvas)
    assert torch.equal(picture, first.image) and not torch.equal(picture, source.image)
    assert torch.allclose(embedded.norm(dim=1), torch.ones(1))
    rung = torch.full((len(second.mask), 1), chooser.proposed)
    seen = chooser.look(method, canvas.with_(image=picture), second, earlier, rung)
    whole = combine_with_earlier(method.render, canvas, method.render(canvas, second), earlier)
    assert torch.equal(seen, whole.image)


def test_the_unedited_picture_is_made_once_for_each_canvas(method, chooser, monkeypatch):
    source, other = toy.sources((0,)), toy.sources((1,))
    calls = []
    image = chooser.encoder.encode_image
    monkeypatch.setattr(chooser.encoder, "encode_image", lambda x: calls.append(len(x)) or image(x))
    for each in (source, source, other):
        chooser.unedited(method, each)
    assert calls == [1, 1]


def test_of_a_photo_the_strength_is_what_the_photo_asks_for_but_at_most_a_step_above_that_of_its_latents(
    method, chooser, monkeypatch
):
    """The face that the latents draw is looked at with and without the residual, which hides a part of the edit."""
    drawn = toy.sources((0,))
    residual = {SITE: torch.randn(drawn.features[SITE].shape, generator=torch.Generator().manual_seed(0))}
    photo = drawn.with_(residual=residual, features=drawn.features | {SITE: drawn.features[SITE] + residual[SITE]})
    edit, condition = proposed(method, photo, n=1)
    own = chooser.chosen(method, drawn, edit, condition)
    found, alone = chooser.chosen(method, photo, edit, condition), chooser._found(method, photo, edit, condition, ())
    assert torch.allclose(found, torch.minimum(alone, STEP * own))
    given = {}
    monkeypatch.setattr(NaturalStrength, "_found", lambda self, method, source, *_: given[bool(source.residual)])
    for shown, of_latents, expected in ((1.2, 1, 1.2), (3.0, 1, STEP), (0.5, 1, 0.5), (-3.0, -1, -STEP), (1.0, 0, 0)):
        given.update({True: torch.tensor([[shown]]), False: torch.tensor([[float(of_latents)]])})
        assert chooser.chosen(method, photo, edit, condition).item() == pytest.approx(expected)


def test_more_and_less_are_steps_of_one_factor():
    strengths = torch.tensor([[0.04], [0.5]])
    assert torch.allclose(stepped(strengths, 2), torch.tensor([[0.09], [1.0]])), "1 is the largest strength"
    assert torch.allclose(stepped(strengths, -1), strengths / 1.5) and torch.equal(stepped(strengths, 0), strengths)


@pytest.fixture(scope="module")
def editor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("natural")
    weights = toy.lively_editor(folder / "editor.safetensors")
    plain = Editor.load(toy.ROOT / "configs/toy.yaml", weights=str(weights), device="cpu")
    path = measure(plain.frozen.generator, plain.encoder, None, 8, 0.7).save(folder / "calibration.safetensors")
    overrides = [f"natural_strength.calibration={path}"]
    return Editor.load(toy.ROOT / "configs/toy.yaml", overrides, weights=str(weights), device="cpu"), plain


@torch.no_grad()
def test_an_editor_with_a_calibration_edits_at_natural_strength(editor):
    editor, plain = editor
    source = editor.source(1)
    result = editor.edit(source, Step("a beard"))
    assert result.edit.image.equal(editor.edit(source, Step("a beard", strength="auto")).edit.image)
    assert 0 < result.strength <= editor.natural.config.ladder[-1] and result.strength != plain.profile.method.strength
    same = plain.edit(source, Step("a beard", strength=result.strength))
    assert torch.allclose(result.edit.image, same.edit.image, atol=1e-4) and torch.equal(
        result.edit.mask, same.edit.mask
    )
    number = editor.edit(source, Step("a beard", strength=0.1))
    assert torch.equal(number.edit.image, plain.edit(source, Step("a beard")).edit.image) and number.strength == 0.1


def test_more_and_less_change_the_strength_of_an_edit(editor):
    editor, source = editor[0], editor[0].source(1)
    strengths = [editor.edit(source, Step("a beard", more=more)).strength for more in (-1, 0, 2)]
    assert strengths[2] / strengths[1] == pytest.approx(2.25) and strengths[1] / strengths[0] == pytest.approx(1.5)


def test_the_strength_that_was_chosen_gives_the_same_bytes_again(editor):
    editor, source = editor[0], editor[0].source(1)
    steps = [Step("a beard", more=1), Step("a big smile"), Step("eyeglasses", strength=0.2)]
    results = editor.sequence(source, steps)
    fixed = replace_chooser(editor)
    again = fixed.sequence(source, steps, [result.strength for result in results])
    assert all(torch.equal(a.edit.image, b.edit.image) for a, b in zip(results, again, strict=True))
    assert [a.strength for a in again] == [r.strength for r in results] and results[2].strength == 0.2


def replace_chooser(editor):
    """The same editor, whose natural strength refuses to be asked."""

    class Refuses(NaturalStrength):
        def chosen(self, *_):
            raise AssertionError("the strength is known already")

    other = object.__new__(Editor)
    other.__dict__.update(editor.__dict__)
    other.natural = Refuses(
        *(getattr(editor.natural, each) for each in ("config", "calibration", "encoder", "proposed"))
    )
    return other


@pytest.mark.parametrize(
    "calibrated, step, sentence",
    [
        (
            False,
            Step("a beard", strength="auto"),
            "strength auto needs a calibration, which profile 'toy' does not have",
        ),
        (False, Step("a beard", more=1), "more and less are steps from the natural strength, but strength is 0.1"),
        (True, Step("a beard", strength=0.2, more=-1), "but strength is 0.2; give auto"),
        (True, Step("a beard", more=5), "can be 4 steps more or less than natural, got 5"),
        (True, Step("a beard", strength="much"), "strength is much; give a number from -1 to 1, or auto"),
    ],
)
def test_strengths_that_make_no_sense_are_refused(editor, calibrated, step, sentence):
    one = editor[0] if calibrated else editor[1]
    with pytest.raises(ValueError, match=sentence):
        one.edit(one.source(0), step)


def test_a_reference_picture_is_a_prompt_like_any_other(editor):
    editor = editor[0]
    result = editor.edit(editor.source(1), Step("a beard", reference=editor.source(7).image))
    assert 0 < result.strength <= editor.natural.config.ladder[-1]


def test_a_calibration_of_another_encoder_is_refused(tmp_path):
    path = CosineCalibration(torch.eye(3), {"generator": "stylegan2-32"}).save(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="was made with encoder nothing, here it is toy"):
        Editor.load(toy.ROOT / "configs/toy.yaml", [f"natural_strength.calibration={path}"], device="cpu")
