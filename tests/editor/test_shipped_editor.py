"""The shipped editor replays what it did at first: the same masks, gains and strengths, and nothing leaks."""

import pytest
import torch.nn.functional as F

from where2edit.editor.editor import Editor
from where2edit.editor.steps import Step

SEED = 3
# prompt: (share of the mask, cosine before, cosine after, least mean change inside the mask) at strength 0.1
EXPECTED = {
    "blond hair": (0.2427, -0.1458, 0.1575, 0.3),
    "a big smile": (0.2126, 0.1415, 0.4061, 0.07),
    "eyeglasses": (0.2009, -0.0083, 0.2523, 0.1),
    "lipstick": (0.0442, -0.0471, 0.0224, 0.012),  # colours keep what they cover, and a hint of blush is a hint
    "rosy cheeks": (0.24, 0.0734, 0.0884, 0.008),
    "purple hair": (0.2419, -0.3638, 0.4256, 0.09),
}
# The strengths that are chosen; those of colours are whole at 0.1.
NATURAL = {"blond hair": 0.057, "a big smile": 0.045, "eyeglasses": 0.048, "lipstick": 0.1, "purple hair": 0.1}


@pytest.fixture(scope="module")
def editor():
    editor = Editor.load("configs/mobile.yaml", device="cpu")
    return editor, editor.source(SEED)


@pytest.mark.parametrize("prompt", EXPECTED)
def test_the_shipped_editor_makes_the_edits_of_its_card(prompt, editor):
    editor, source = editor
    result = editor.edit(source, Step(prompt, strength=0.1))
    certificate = result.edit.certificate[0]
    measured = (certificate.mask_area, result.before, result.after)
    assert measured == pytest.approx(EXPECTED[prompt][:3], abs=0.01), measured
    assert certificate.leak_max == 0 and result.understood
    inside = result.edit.mask[0, 0] > 0
    changed = (result.edit.image - source.image).abs().mean(1)[0]
    changed = F.adaptive_avg_pool2d(changed[None], inside.shape)[0]
    assert changed[inside].mean() > EXPECTED[prompt][3], "an edit that nobody can see"


@pytest.mark.parametrize("prompt", NATURAL)
def test_it_chooses_the_strengths_that_it_chose(prompt, editor):
    editor, source = editor
    result = editor.edit(source, Step(prompt))
    assert result.strength == pytest.approx(NATURAL[prompt], rel=0.05), result.strength
    assert result.edit.certificate[0].leak_max == 0 and result.after > result.before


def test_a_denial_takes_away_what_the_face_shows_and_leaves_alone_what_it_does_not(editor):
    editor, bare = editor
    bespectacled = editor.source(500017)
    result = editor.edit(bespectacled, Step("remove the glasses"))
    assert result.strength < -0.02 and result.after < result.before - 0.1 and result.edit.certificate[0].leak_max == 0
    assert abs(editor.edit(bare, Step("no glasses")).strength) < abs(result.strength) / 2
