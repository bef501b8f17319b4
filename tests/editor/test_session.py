"""Sessions: the same bytes as a fresh start, and nothing computed twice."""

import math
from dataclasses import replace

import pytest
import torch
import toy_cases as toy
from PIL import Image

from where2edit.editing.cosine_calibration import measure
from where2edit.editor import session as sessions
from where2edit.editor.editor import Editor
from where2edit.editor.natural_strength import NaturalStrength, NaturalStrengthConfig
from where2edit.editor.session import Session
from where2edit.editor.steps import Step
from where2edit.files.pictures import to_image

STEPS = [
    Step("a beard"),
    Step("a beard", more=1),
    Step("a beard", threshold=0.1),
    Step("a beard", strength=0.3),
    Step("no beard"),
    Step("a smile", where="a beard"),
]


@pytest.fixture(scope="module")
def editor(tmp_path_factory):
    weights = toy.lively_editor(tmp_path_factory.mktemp("session") / "editor.safetensors")
    editor = Editor.load(toy.ROOT / "configs/toy.yaml", weights=str(weights), device="cpu")
    config = NaturalStrengthConfig(calibration="none is read", ladder=(0.2, 0.4), fades=1)
    calibration = measure(editor.frozen.generator, editor.encoder, None, 8, 0.7)
    editor.natural = NaturalStrength(config, calibration, editor.encoder, 0.2)
    return editor


@pytest.fixture
def calls(editor, monkeypatch):
    """How often the editor's parts were called, by name."""
    counts = dict.fromkeys(("propose", "chosen", "embed"), 0)

    def counted(owner, name):
        original = getattr(owner, name)

        def call(*arguments, **options):
            counts[name] += 1
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, call)

    counted(editor.method, "propose")
    counted(editor.natural, "chosen")
    counted(editor, "embed")
    return counts


def test_an_edit_has_the_same_bytes_whatever_was_edited_before(editor):
    source = editor.source(1)
    fresh = [Session(editor, source).edit(step) for step in STEPS]
    session = Session(editor, source)
    for order in (STEPS, STEPS[::-1]):
        for step in order:
            expected, found = fresh[STEPS.index(step)], session.edit(step)
            assert torch.equal(found.image, expected.image) and found.edit.certificate == expected.edit.certificate
            assert (found.before, found.after, found.strength) == (expected.before, expected.after, expected.strength)


def test_only_what_is_asked_for_anew_is_computed(editor, calls):
    session = editor.session(editor.source(1))
    first = session.edit(STEPS[0])
    assert calls == {"propose": 1, "chosen": 1, "embed": 2}
    more = session.edit(STEPS[1])  # another multiple of the same natural strength
    assert calls == {"propose": 1, "chosen": 1, "embed": 3}
    assert more.strength == pytest.approx(1.5 * first.strength)
    session.edit(STEPS[2])  # another mask
    assert calls == {"propose": 2, "chosen": 2, "embed": 4}
    session.edit(STEPS[3])  # a number
    assert calls == {"propose": 3, "chosen": 2, "embed": 5}
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1
    session.edit(replace(STEPS[0], mask=mask))  # the same proposal under a mask of the user's
    assert calls == {"propose": 3, "chosen": 3, "embed": 6}


def test_a_source_keeps_its_session_until_another_one_is_edited(editor):
    one, other = editor.source(1), editor.source(2)
    session = editor.session(one)
    assert editor.session(one) is session
    assert editor.session(other) is not session and editor.session(one) is not session


def test_certificate_and_scores_can_be_left_out(editor, calls):
    session = Session(editor, editor.source(1))
    quick, whole = session.edit(STEPS[3], certified=False, scored=False), session.edit(STEPS[3])
    assert torch.equal(quick.image, whole.image) and quick.edit.certificate == ()
    assert math.isnan(quick.before) and math.isnan(quick.after) and not quick.understood
    assert calls["embed"] == 2


def test_a_session_keeps_so_much_and_no_more(editor, calls, monkeypatch):
    monkeypatch.setattr(sessions, "MOST_KEPT", 3)
    session = Session(editor, editor.source(1))
    for number in range(4):
        session.edit(Step("a beard", strength=number / 1000), certified=False, scored=False)
    session.edit(Step("a beard", strength=0.003), certified=False, scored=False)
    assert calls["propose"] == 4
    session.edit(Step("a beard", strength=0.0), certified=False, scored=False)
    assert calls["propose"] == 5


BATCH = [
    *STEPS,
    Step("a smile", strength=-0.2),
    Step("a beard", mask=torch.ones(1, 1, 32, 32), mask_mode="multiply"),
    Step("eyeglasses", mask=torch.zeros(1, 1, 32, 32)),
    Step("red lipstick"),
]


def test_edits_as_one_batch_are_those_one_by_one(editor, calls):
    session = Session(editor, editor.source(2))
    slow = session.edits(BATCH, together=False)
    calls["propose"] = calls["chosen"] = 0
    fast = session.edits(BATCH, together=True)
    groups = {(step.threshold, step.strength is None, step.more) for step in BATCH}
    assert calls["propose"] == len(groups) and calls["chosen"] == sum(auto for _, auto, _ in groups)
    assert session.edits(BATCH[:3])[0].image.equal(slow[0].image), "on a CPU one by one"
    for one, other, step in zip(slow, fast, BATCH, strict=True):
        assert other.step is step and other.strength == pytest.approx(one.strength, abs=1e-5)
        assert torch.allclose(other.edit.mask, one.edit.mask, atol=1e-5)
        assert torch.allclose(other.image, one.image, atol=1e-3) and len(other.image) == 1
        assert (other.before, other.after) == (pytest.approx(one.before, abs=1e-4), pytest.approx(one.after, abs=1e-3))
        assert other.edit.certificate[0].leak_max == 0
        assert (other.edit.tail is None) == (one.edit.tail is None) and other.edit.shift.shape == one.edit.shift.shape
    bare = session.edits(BATCH[:2], certified=False, scored=False, together=True)
    assert all(not result.edit.certificate and math.isnan(result.after) for result in bare)


def test_a_long_list_is_made_in_several_batches(editor, calls):
    steps = [Step("a beard", strength=0.01 * n) for n in range(1, 12)]
    results = Session(editor, editor.source(2)).edits(steps, together=True)
    assert [result.strength for result in results] == pytest.approx([step.strength for step in steps])
    assert calls["propose"] == 2


def test_a_wrong_step_is_refused_before_any_edit_is_made(editor, calls):
    with pytest.raises(ValueError, match="strength is 3"):
        Session(editor, editor.source(2)).edits([Step("a beard"), Step("a beard", strength=3)], together=True)
    assert calls["propose"] == 0


def test_a_reference_is_embedded_once_and_again_when_it_has_changed(editor, monkeypatch):
    picture, seen = Image.new("RGB", (32, 32), (200, 10, 10)), []
    encode = editor.encoder.image
    monkeypatch.setattr(editor.encoder, "image", lambda image: seen.append(image) or encode(image))
    first = editor.embed_reference(picture)
    assert torch.equal(editor.embed_reference(picture.copy()), first) and len(seen) == 1
    picture.putpixel((3, 3), (0, 0, 0))
    assert not torch.equal(editor.embed_reference(picture), first) and len(seen) == 2
    tensor = to_image(picture)
    assert torch.equal(editor.embed_reference(tensor), editor.embed_reference(picture)) and len(seen) == 4
