"""Wiring: what cannot be built is refused for the right reason."""

import pytest
import toy_cases as toy

from where2edit.editor.build import build_frozen
from where2edit.editor.profile import load_profile


def test_a_blend_site_that_does_not_exist_is_refused_as_such_although_regions_were_fitted_elsewhere():
    class Encoder:
        dim = 256

    profile = load_profile(toy.ROOT / "configs/toy.yaml", ["generator.blend_site=16.conv"])
    with pytest.raises(ValueError, match=r"site '16\.conv' does not exist in generator"):
        build_frozen(profile, Encoder())
