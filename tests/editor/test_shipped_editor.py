"""The shipped editor replays what its card says: the same masks and gains on the same faces, and nothing leaks."""

import pytest
import torch.nn.functional as F

from where2edit.editor.editor import Editor, Step

SEED = 3
# prompt: (share of the mask, cosine before, cosine after), as measured when the editor was shipped
EXPECTED = {
    "blond hair": (0.2598, -0.1458, 0.2191),
    "a big smile": (0.1445, 0.1415, 0.3904),
    "eyeglasses": (0.1543, -0.0083, 0.5478),
    "lipstick": (0.0574, -0.0471, 0.0041),
    "rosy cheeks": (0.2578, 0.0734, 0.1046),
}


@pytest.fixture(scope="module")
def editor():
    editor = Editor.load("configs/mobile.yaml", device="cpu")
    return editor, editor.source(SEED)


@pytest.mark.parametrize("prompt", EXPECTED)
def test_the_shipped_editor_makes_the_edits_of_its_card(prompt, editor):
    editor, source = editor
    result = editor.edit(source, Step(prompt))
    certificate = result.edit.certificate[0]
    measured = (certificate.mask_area, result.before, result.after)
    assert measured == pytest.approx(EXPECTED[prompt], abs=0.01), measured
    assert certificate.leak_max == 0 and result.understood
    inside = result.edit.mask[0, 0] > 0
    changed = (result.edit.image - source.image).abs().mean(1)[0]
    changed = F.adaptive_avg_pool2d(changed[None], inside.shape)[0]
    assert changed[inside].mean() > 0.05, "an edit that nobody can see"
