"""The shipped editor replays what its card says: the same masks and gains on the same faces, and nothing leaks.

Its card was measured at strength 0.1; without a number it edits at natural strength.
"""

import pytest
import torch.nn.functional as F

from where2edit.editor.editor import Editor, Step

SEED = 3
# prompt: (share of the mask, cosine before, cosine after) at strength 0.1, as measured when the editor was shipped
EXPECTED = {
    "blond hair": (0.2598, -0.1458, 0.2191),
    "a big smile": (0.1445, 0.1415, 0.3904),
    "eyeglasses": (0.1543, -0.0083, 0.5478),
    "lipstick": (0.0574, -0.0471, 0.0041),
    "rosy cheeks": (0.2578, 0.0734, 0.1046),
}


NATURAL = {"blond hair": 0.043, "a big smile": 0.040, "eyeglasses": 0.042, "lipstick": 0.037, "rosy cheeks": 0.095}


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
    assert measured == pytest.approx(EXPECTED[prompt], abs=0.01), measured
    assert certificate.leak_max == 0 and result.understood
    inside = result.edit.mask[0, 0] > 0
    changed = (result.edit.image - source.image).abs().mean(1)[0]
    changed = F.adaptive_avg_pool2d(changed[None], inside.shape)[0]
    assert changed[inside].mean() > 0.05, "an edit that nobody can see"


@pytest.mark.parametrize("prompt", NATURAL)
def test_its_edits_at_natural_strength_are_weaker_and_can_be_seen(prompt, editor):
    editor, source = editor
    result = editor.edit(source, Step(prompt))
    assert result.strength == pytest.approx(NATURAL[prompt], rel=0.05), result.strength
    assert result.edit.certificate[0].leak_max == 0 and result.after > result.before
