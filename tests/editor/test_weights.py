"""An editor fits the networks that it was trained on; files of other networks, and of other kinds, are refused."""

import json

import pytest
import torch
import toy_cases as toy

from where2edit.core import config
from where2edit.editor.latents import load_latent, read_as
from where2edit.editor.profile import load_profile
from where2edit.editor.weights import editor_tensors, load_editor
from where2edit.files import tensorfile
from where2edit.generators.stylegan2 import create

TOY = toy.ROOT / "configs/toy.yaml"
OLD = {"generator": {"name": "stylegan2", "resolution": 32, "channel_multiplier": 1}, "text_image": {"name": "toy"}}


@pytest.fixture(scope="module")
def method():
    return toy.method()


def trained(path, method, tree, **about):
    """An editor's file that was trained with a config."""
    metadata = {"config": tree if isinstance(tree, str) else json.dumps(tree)} | about
    return tensorfile.write(path, editor_tensors(method), "editor", metadata)


def with_changes(*overrides):
    return config.as_dict(load_profile(TOY, list(overrides)))


FITS = {
    "the same config": with_changes(),
    "another length of the training": with_changes("training.steps=7"),
    "other words for the defaults": OLD
    | {"generator": {"name": "stylegan2", "options": {"resolution": 32}}}
    | {"generator": OLD["generator"] | {"seed": 0}},
    "the keys of an earlier version": OLD,
}


@pytest.mark.parametrize("case", FITS)
def test_an_editor_of_the_same_networks_is_loaded(case, method, tmp_path):
    load_editor(method, trained(tmp_path / "e.safetensors", method, FITS[case]), load_profile(TOY))


OTHERS = {
    "another resolution": (with_changes("generator.options.resolution=64"), "generator"),
    "other random weights": (with_changes("generator.options.seed=1"), "generator"),
    "another generator": (with_changes() | {"generator": {"name": "mobilestylegan"}}, "generator"),
    "another encoder": (with_changes() | {"text_image": {"name": "facetext"}}, "encoder"),
    "another encoder's words": (with_changes() | {"text_image": {"name": "toy", "options": {"seed": 1}}}, "encoder"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_an_editor_of_other_networks_is_refused(case, method, tmp_path):
    tree, what = OTHERS[case]
    path = trained(tmp_path / "e.safetensors", method, tree)
    with pytest.raises(ValueError, match=f"e.safetensors was trained on another {what} than this config names; give"):
        load_editor(method, path, load_profile(TOY))


@pytest.mark.parametrize(
    "tree", ["junk", "[]", "3", "[" * 9999, {}, {"generator": 3}, {"generator": {"name": "unknown"}}, {"generator": {}}]
)
def test_a_config_that_is_none_is_refused(tree, method, tmp_path):
    path = trained(tmp_path / "e.safetensors", method, tree)
    with pytest.raises(ValueError, match="says 'config' in its metadata|not known here") as caught:
        load_editor(method, path, load_profile(TOY))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["judge", "regions", "latent", "stylegan2"])
def test_another_network_is_no_editor(kind, method, tmp_path):
    path = tensorfile.write(tmp_path / "e.safetensors", editor_tensors(method), kind, {})
    with pytest.raises(ValueError, match=f"does not fit this config: it says format=where2edit.{kind}, expected"):
        load_editor(method, path, load_profile(TOY))


def test_a_note_says_how_w_plus_is_read(tmp_path):
    class Mobile:
        """Stands for a generator with 23 codes."""

        name, num_w = "mobilestylegan", 23

        def has_w_plus(self, w):
            return w.ndim == 3 and w.shape[1] == 18

    torch.save(torch.zeros(1, 18, 512), tmp_path / "w.pt")
    assert "18 codes, StyleGAN2's W+: each of the 23 sites" in read_as(Mobile(), tmp_path / "w.pt")
    torch.save(torch.zeros(1, 512), tmp_path / "w.pt")
    assert read_as(Mobile(), tmp_path / "w.pt") == "" and load_latent(tmp_path / "w.pt").shape == (1, 512)
    assert read_as(create(8, 1), tmp_path / "w.pt") == ""
