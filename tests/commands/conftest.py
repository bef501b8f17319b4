"""Editors of the toy profile that tests of commands share: each is built once, since no edit changes it."""

import pytest
import toy_cases as toy

from where2edit.editor.editor import Editor
from where2edit.files.fingerprints import config_digest


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    return str(toy.lively_editor(tmp_path_factory.mktemp("editor") / "editor.safetensors"))


@pytest.fixture(scope="session")
def editors():
    """Editors by profile and weights, in place of the class."""
    built = {}

    def get(profile, device, weights):
        key = (config_digest(profile), weights)
        if key not in built:
            built[key] = Editor(profile, "cpu", weights)
        return built[key]

    return get
