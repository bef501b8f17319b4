"""The editor: one source, many edits, each explained; sequences keep what was edited before."""

from dataclasses import replace

import pytest
import torch
import toy_cases as toy
from PIL import Image

from where2edit.core.records import Edit
from where2edit.editing.masks import make_mask
from where2edit.editing.sequences import EarlierEdit, combined_shift, next_source
from where2edit.editor.editor import Editor
from where2edit.editor.recipes import RecipeStep
from where2edit.editor.session import NOISE_GAIN, Result
from where2edit.editor.steps import Step
from where2edit.files import pictures

SEEDS = (1, 2)


def load(inputs, folder):
    overrides = [f"method.attention.options.inputs={inputs}"]
    weights = toy.lively_editor(folder / "editor.safetensors", overrides)
    return Editor.load(toy.ROOT / "configs/toy.yaml", overrides, weights=str(weights), device="cpu")


@pytest.fixture(scope="module")
def editor(tmp_path_factory):
    return load("trunk", tmp_path_factory.mktemp("trunk"))


@pytest.fixture(scope="module", params=["trunk", "all"])
def either(request, editor, tmp_path_factory):
    """An editor whose attention reads the trunk, and one that reads the tail too, which a sequence must carry on."""
    return editor if request.param == "trunk" else load("all", tmp_path_factory.mktemp("all"))


@pytest.fixture
def paint():
    """A mask picture that is white in a box of pixels."""

    def painted(left, top, right, bottom, grey=255, size=32):
        picture = Image.new("RGB", (size, size))
        picture.paste((grey,) * 3, (left, top, right, bottom))
        return picture

    return painted


def test_an_edit_is_the_forward_pass_of_the_method(editor):
    source = editor.source(1)
    result = editor.edit(source, Step("a beard", strength=0.2))
    with torch.no_grad():
        edit = editor.method(source, editor.conditions.of(["a beard"], 0.2))
    assert torch.equal(result.edit.image, edit.image) and torch.equal(result.edit.mask, edit.mask)
    assert result.edit.certificate[0].mask_area > 0 and result.edit.certificate[0].changed


def test_a_source_is_a_seed_or_latents(editor):
    source, generator = editor.source(3), editor.frozen.generator
    assert torch.equal(source.image, editor.source(3).image) and not torch.equal(source.image, editor.source(4).image)
    assert torch.equal(editor.source(w=source.w).image, source.image)
    assert torch.equal(editor.source(w=source.w[:, 0]).image, source.image)
    for shape in ((1, 100), (1, 7, 512), (2, 3, 4, 512)):
        with pytest.raises(ValueError, match=rf"w must be \[B,{generator.num_w},512\]"):
            editor.source(w=torch.zeros(shape))


def test_every_edit_is_local_and_says_so(either):
    for seed in SEEDS:
        source = either.source(seed)
        for prompt in toy.PROMPTS[::2]:
            certificate = either.edit(source, Step(prompt)).edit.certificate[0]
            assert certificate.local and certificate.halo == either.halo == 3
            assert certificate.changed <= certificate.allowed_area


def test_strength_none_is_the_profiles_and_zero_changes_nothing(editor):
    source = editor.source(1)
    default, same = editor.edit(source, Step("a beard")), editor.edit(source, Step("a beard", strength=0.1))
    assert torch.equal(default.edit.image, same.edit.image)
    nothing = editor.edit(source, Step("a beard", strength=0.0))
    assert torch.equal(nothing.edit.image, source.image) and nothing.edit.mask.max() > 0
    assert nothing.before == nothing.after


def test_a_negative_strength_moves_the_other_way(editor):
    source = editor.source(1)
    there, back = (editor.edit(source, Step("a beard", strength=s)).edit.styles for s in (0.1, -0.1))
    for site in editor.method.mapper.sites:
        assert torch.allclose(there[site] - source.styles[site], source.styles[site] - back[site], atol=1e-4)


def test_understood_looks_for_a_rise_and_for_a_fall_where_the_strength_is_negative():
    def result(gain, strength):
        return Result(Step("x"), Edit(styles={}, mask=torch.zeros(1)), 0.2, 0.2 + gain, strength)

    large, small = 2 * NOISE_GAIN, 0.5 * NOISE_GAIN
    assert result(large, 0.1).understood and result(-large, -0.1).understood
    assert not result(-large, 0.1).understood and not result(large, -0.1).understood
    assert not result(small, 0.1).understood and not result(-small, -0.1).understood


def test_a_denial_is_the_edit_with_the_strength_reversed(editor):
    source = editor.source(1)
    denied = editor.edit(source, Step("no beard", strength=0.2))
    reversed_edit = editor.edit(source, Step("a beard", strength=-0.2))
    assert torch.equal(denied.image, reversed_edit.image) and denied.strength == reversed_edit.strength == -0.2
    assert (denied.before, denied.after) == (reversed_edit.before, reversed_edit.after)
    assert str(denied.said) == "a beard, reversed" and denied.understood == reversed_edit.understood
    doubly = editor.edit(source, Step("no beard", strength=-0.2))
    assert torch.equal(doubly.image, editor.edit(source, Step("a beard", strength=0.2)).image)
    elsewhere = editor.condition(Step("a beard", where="no hair color"))
    assert torch.equal(elsewhere.h_attention, editor.conditions.embed(["hair color"]))


def test_words_that_are_not_understood_edit_nothing_unless_forced(editor, monkeypatch):
    class OnlyBeards:
        def check(self, prompt):
            if "beard" not in prompt:
                raise ValueError(f"{prompt} is not understood")

    monkeypatch.setattr(editor, "vocabulary", OnlyBeards())
    source = editor.source(1)
    for step in (Step("asdf"), Step("a beard", where="asdf"), Step("no asdf")):
        with pytest.raises(ValueError, match="asdf is not understood"):
            editor.edit(source, step)
        editor.edit(source, replace(step, force=True))
    editor.edit(source, Step("no beard"))


def test_two_prompts_say_where_and_what(editor):
    source = editor.source(2)
    both = editor.edit(source, Step("a beard", where="eyeglasses")).edit
    what, where = editor.edit(source, Step("a beard")).edit, editor.edit(source, Step("eyeglasses")).edit
    assert torch.equal(both.mask, where.mask) and not torch.equal(both.mask, what.mask)
    assert all(torch.equal(both.styles[site], what.styles[site]) for site in both.styles)


def test_the_threshold_decides_how_much_is_edited(editor):
    source = editor.source(2)
    areas = [
        editor.edit(source, Step("a big smile", threshold=t)).edit.certificate[0].mask_area for t in (0, 0.8, 0.84, 1)
    ]
    assert areas[0] == 1 and areas[-1] == 0 and sorted(areas, reverse=True) == areas and len(set(areas)) > 2
    with pytest.raises(ValueError, match="threshold is 1.5; allowed: 0 to 1"):
        editor.edit(source, Step("a big smile", threshold=1.5))


def test_the_users_own_mask_instead_of_the_attention(editor, paint):
    source = editor.source(1)
    edit = editor.edit(source, Step("a beard", mask=paint(4, 6, 9, 10))).edit
    expected = torch.zeros(1, 1, 16, 16)
    expected[..., 3:5, 2:4] = 1
    expected[..., 3:5, 4] = 0.5  # pixels 8 and 9: half of that cell is white
    assert torch.allclose(edit.mask, expected)
    certificate = edit.certificate[0]
    assert certificate.local and 0 < certificate.changed < 0.4


def test_the_users_own_mask_times_the_attention(editor, paint):
    source, picture = editor.source(1), paint(0, 0, 16, 32, grey=51)
    own = editor.edit(source, Step("a beard", mask=picture)).edit.mask
    edit = editor.edit(source, Step("a beard", mask=picture, mask_mode="multiply")).edit
    attention = make_mask(edit.region_attention, editor.profile.blending)
    assert own.max().item() == pytest.approx(0.2) and torch.equal(edit.mask, own * attention)


def test_a_reference_image_drives_the_mapping_and_the_prompt_says_where(editor, tmp_path):
    other = editor.source(7).image
    path = pictures.save_png(other[0], tmp_path / "reference.png")
    step = Step("a beard", reference=pictures.read_picture(path))
    condition = editor.condition(step)
    seen = editor.encoder.image(pictures.load_image(path))
    assert torch.allclose(condition.h, seen * editor.encoder.dim**0.5, atol=1e-5)
    assert torch.equal(condition.h_attention, editor.conditions.embed(["a beard"]))
    as_tensor = editor.condition(Step("a beard", reference=pictures.load_image(path)))
    assert torch.equal(as_tensor.h, condition.h)
    edit = editor.edit(editor.source(1), step)
    assert edit.before == pytest.approx(cosine(editor.encoder.image(editor.source(1).image), seen), abs=1e-5)


def cosine(a, b):
    return torch.nn.functional.cosine_similarity(a, b).item()


def test_scores_are_cosines_before_and_after(editor):
    source = editor.source(1)
    result, h = editor.edit(source, Step("a beard")), editor.encoder.text(["a beard"])
    assert result.before == pytest.approx(cosine(editor.encoder.image(source.image), h), abs=1e-6)
    assert result.after == pytest.approx(cosine(editor.encoder.image(result.edit.image), h), abs=1e-6)


def test_a_sequence_of_one_is_an_edit(editor):
    source = editor.source(1)
    (only,) = editor.sequence(source, [Step("a beard")])
    assert torch.equal(only.edit.image, editor.edit(source, Step("a beard")).edit.image)


def test_a_sequence_keeps_earlier_edits_outside_of_the_new_mask_bit_for_bit(either, paint):
    source = either.source(1)
    steps = [Step("a beard", mask=paint(0, 0, 8, 8)), Step("a big smile", mask=paint(24, 24, 32, 32))]
    first, second = either.sequence(source, steps)
    changed = (second.edit.image != first.edit.image).any(1)[0]
    assert changed.any() and not changed[:16, :16].any(), "the second edit touches the first"
    assert torch.equal(second.edit.image[..., :16, :16], first.edit.image[..., :16, :16])
    assert not torch.equal(first.edit.image[..., :8, :8], source.image[..., :8, :8])
    assert all(result.edit.certificate[0].local for result in (first, second))
    alone = either.edit(source, steps[1]).edit.image
    assert torch.equal(second.edit.image[..., 16:, 16:], alone[..., 16:, 16:])


def together(*styles):
    """Shifts of one site added as sequences adds them: the norm is capped at the root of the sum of squared norms."""
    total, cap = sum(styles), torch.stack([each.norm(dim=1) for each in styles]).square().sum(0).sqrt()
    return total * (cap / total.norm(dim=1)).nan_to_num(1.0).clamp_max(1)[:, None]


def test_shifts_are_added_and_their_norm_is_capped():
    one, other, none = torch.tensor([[3.0, 0]]), torch.tensor([[0, 3.0]]), torch.zeros(1, 2)
    met = [EarlierEdit({"a": other, "b": none, "c": other, "d": one, "e": -one}, torch.ones(1, 1, 2, 2))]
    found = combined_shift(
        EarlierEdit({"a": one, "b": one, "c": none, "d": one, "e": one}, met[0].mask), met, met[0].mask
    )
    assert torch.allclose(found["a"], one + other)
    assert torch.equal(found["b"], one) and torch.equal(found["c"], other)
    assert torch.allclose(found["d"], 2**0.5 * one)
    assert not found["e"].any()
    elsewhere = [EarlierEdit(met[0].shift, torch.zeros(1, 1, 2, 2))]
    assert torch.equal(combined_shift(EarlierEdit({"a": one}, met[0].mask), elsewhere, met[0].mask)["a"], one)


def test_where_edits_of_a_sequence_overlap_both_are_in_force(editor, paint):
    source, everywhere = editor.source(1), paint(0, 0, 32, 32)
    first, second = editor.sequence(source, [Step("a beard", mask=everywhere), Step("a big smile", mask=everywhere)])
    s, u1, u2 = source.styles, first.edit.styles, second.edit.styles
    both = {site: s[site] + together(u1[site] - s[site], u2[site] - s[site]) for site in s}
    with torch.no_grad():
        expected = editor.frozen.generator.synthesis(both)
    assert torch.allclose(second.edit.image, expected, atol=1e-4)
    assert (second.edit.image - editor.edit(source, Step("a big smile", mask=everywhere)).edit.image).abs().max() > 0.01


def test_three_edits_in_a_row_add_up_and_stay_local(either, paint):
    source, box = either.source(1), paint(8, 8, 24, 24)
    results = either.sequence(source, [Step(p, mask=box) for p in toy.PROMPTS[:3]])
    assert all(result.edit.certificate[0].local for result in results)
    u = [result.edit.styles for result in results]
    whole = {site: s + together(*(each[site] - s for each in u)) for site, s in source.styles.items()}
    with torch.no_grad():
        proposed = either.method.propose(source, either.condition(Step("x")))
        mask = results[0].edit.mask
        expected = either.method.render(source, proposed.with_(styles=whole, mask=mask)).image
    assert torch.allclose(results[-1].edit.image, expected, atol=1e-4)


def test_an_earlier_edit_elsewhere_has_no_influence(either, paint):
    source, corner, rest = either.source(1), paint(0, 0, 4, 4), paint(24, 24, 32, 32)
    steps = [Step(prompt, mask=mask) for prompt, mask in zip(toy.PROMPTS, (corner, rest, rest), strict=False)]
    with_first, without = (either.sequence(source, row)[-1].edit.image for row in (steps, steps[1:]))
    assert torch.equal(with_first[..., 20:, 20:], without[..., 20:, 20:])
    assert not torch.equal(with_first[..., :4, :4], without[..., :4, :4])


def test_the_next_edit_reads_what_the_last_one_wrote(either, paint):
    source = either.source(1)
    step = Step("a beard", mask=paint(0, 0, 16, 32))
    edit = either.session(source).edit(step, continued=True).edit
    carried = next_source(source, edit)
    tail = {"32.conv0", "32.conv1"} if either.method.reads_tail else set()
    assert set(edit.features) == {"16.conv1"} | tail
    assert all(torch.equal(carried.features[name], edit.features[name]) for name in edit.features)
    assert torch.equal(carried.features["8.conv1"], source.features["8.conv1"])
    assert torch.equal(carried.image, edit.image)
    with torch.no_grad():
        a, b = (either.method.propose(x, either.condition(Step("eyeglasses"))).attention for x in (source, carried))
    assert not torch.equal(a, b)


def test_an_edit_that_nothing_follows_keeps_no_tail(either, paint):
    source, step = either.source(1), Step("a beard", mask=paint(0, 0, 16, 32))
    alone, continued = either.edit(source, step), either.session(source).edit(step, continued=True)
    assert (alone.image - continued.image).abs().max() <= 1e-4 and set(alone.edit.features) == {"16.conv1"}
    carried = next_source(source, alone.edit)
    if either.method.reads_tail:
        with pytest.raises(ValueError, match="attention reads 32.conv0, 32.conv1, which the source lacks"):
            either.edit(carried, Step("eyeglasses"))
    else:
        assert either.edit(carried, Step("eyeglasses")).edit.image.isfinite().all()


def test_an_edit_does_not_change_its_source(editor):
    source = editor.source(1)
    before = {name: x.clone() for name, x in source.features.items()}
    image = source.image.clone()
    editor.sequence(source, [Step("a beard"), Step("a big smile")])
    assert torch.equal(source.image, image) and all(torch.equal(source.features[k], v) for k, v in before.items())


@pytest.mark.parametrize(
    "step, sentence",
    [
        (Step(""), "an empty prompt says nothing"),
        (Step("a beard", where="  "), "an empty prompt says nothing"),
        (Step("hair " * 500), "a prompt has 500 words, at most 60 are read; use --long"),
        (Step("h" * 3000), "a prompt has 3000 characters, at most 600 are read; use --long"),
        (Step("a beard", where="hair " * 500), "a prompt has 500 words, at most 60 are read"),
        (Step("a beard", strength=float("nan")), "strength is nan; give a number from -1 to 1"),
        (Step("a beard", strength=float("inf")), "strength is inf"),
        (Step("a beard", strength=-1.5), "strength is -1.5"),
        (Step("a beard", threshold=float("nan")), "threshold is nan"),
    ],
)
def test_what_makes_no_sense_is_refused(editor, step, sentence):
    with pytest.raises(ValueError, match=sentence):
        editor.edit(editor.source(0), step)


def test_a_mask_of_another_size_and_files_that_are_no_pictures_are_refused(editor, paint, tmp_path):
    source = editor.source(0)
    wide = paint(0, 0, 5, 5).resize((20, 12))
    for mask, got in ((wide, "20x12"), (torch.ones(1, 1, 20, 20), "20x20")):
        with pytest.raises(ValueError, match=f"the mask .* is {got} px; it must have the output's size, 32x32"):
            editor.edit(source, Step("a beard", mask=mask))
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    for step in (RecipeStep("a beard", mask=str(text)), RecipeStep("a beard", reference=str(text))):
        with pytest.raises(ValueError, match="text.png cannot be read as a (mask|reference picture)"):
            step.load(32)
    for step in (RecipeStep("a beard", mask="absent.png"), RecipeStep("a beard", reference="absent.png")):
        with pytest.raises(ValueError, match="no (mask|reference picture) at absent.png"):
            step.load(32)


def test_a_mask_is_a_tensor_as_well_as_a_picture(editor, paint):
    source, cells = editor.source(1), torch.zeros(1, 1, 32, 32)
    cells[..., 6:10, 4:9] = 1
    picture, tensor = (editor.edit(source, Step("a beard", mask=m)).edit for m in (paint(4, 6, 9, 10), cells))
    assert torch.equal(picture.mask, tensor.mask) and torch.equal(picture.image, tensor.image)


def test_the_same_step_gives_the_same_bytes(editor):
    source, step = editor.source(1), Step("a beard", strength=0.15)
    again = editor.edit(editor.source(1), replace(step))
    assert torch.equal(editor.edit(source, step).edit.image, again.edit.image)
