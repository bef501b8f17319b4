"""Edits of a photo from Python: several steps of one face, and what names an inversion."""

import numpy as np
import torch
import toy_cases as toy
from photo_cases import photo_of, square
from photo_edit_cases import picture

from where2edit.editing.certificate import allowed_region
from where2edit.editor.editor import Editor
from where2edit.editor.profile import load_profile
from where2edit.editor.steps import Step
from where2edit.photo_editing.edits import edit_face, photo_results
from where2edit.photo_editing.faces import inversion_digest

CONFIG = str(toy.ROOT / "configs/toy.yaml")


def test_an_inversion_is_of_a_generator_and_of_how_it_is_inverted():
    def digest(*overrides):
        return inversion_digest(load_profile(CONFIG, overrides))

    same = (["blending.blur=1"], ["generator.dtype=bfloat16"], ["method.strength=0.2"])
    other = (["inversion.w_steps=7"], ["generator.options.resolution=64"], ["preview_head.site=32.rgb"])
    assert {digest(*each) for each in same} == {digest()}
    assert len({digest(*each) for each in other} | {digest()}) == 4


def test_what_an_earlier_step_changed_stays_where_a_later_one_changes_nothing(tmp_path):
    editor = Editor.load(CONFIG, device="cpu", weights=str(toy.lively_editor(tmp_path / "editor.safetensors")))
    left, right = torch.zeros(2, 1, 1, 32, 32)
    left[..., :10], right[..., 22:] = 1, 1
    photo, here = photo_of(picture()), square(100, 80, 140, 10)
    face = edit_face(editor, here, editor.source(1), [Step("a beard", mask=left), Step("bangs", mask=right)])
    (first, _), (both, last) = photo_results(photo, [face], 2)
    assert torch.equal(face.allowed[1], face.allowed[0] | allowed_region(face.results[1].edit.mask, 3, 32))
    changed = [(each.pixels != photo.pixels).any(2) for each in (first, both)]
    assert changed[0].any() and (changed[1] & ~changed[0]).any() and last.certificate.leak == 0
    assert np.array_equal(both.pixels[changed[0]], first.pixels[changed[0]])
