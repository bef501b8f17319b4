"""Files that were written before today's names are read by today's."""

import copy
import json
from dataclasses import replace

import pytest
import toy_cases as toy
from safetensors import safe_open

from where2edit.core import config
from where2edit.editor.build import build_frozen, build_method
from where2edit.editor.migration import current_config, current_name
from where2edit.editor.profile import Profile, load_profile

EDITOR = toy.ROOT / "pretrained_models/editor-mobile.safetensors"


@pytest.mark.parametrize(
    "old, new",
    [
        ("mapper.axes", "mapper.semantic_directions"),
        ("mapper.dye_words", "mapper.colours.colour_embeddings"),
        ("mapper.dyes", "mapper.colours.colour_shifts"),
        ("mapper.bleach", "mapper.colours.shrinkage"),
        ("mapper.own.3.fusion.weight", "mapper.per_site.3.fusion.weight"),
        ("mapper.shared.style.bias", "mapper.shared.style.bias"),
        ("attention.first.0.affine.weight", "attention.first.0.affine.weight"),
        ("mapper.style.0.weight", "mapper.style.0.weight"),
    ],
)
def test_tensors_get_todays_names_and_those_pass_through(old, new):
    assert current_name(old) == new and current_name(new) == new


def shipped():
    """Tensor names and the config of the shipped editor, as it was written."""
    with safe_open(EDITOR, "pt") as file:
        return set(file.keys()), json.loads(file.metadata()["config"])


def test_the_shipped_editor_has_todays_tensors():
    class Encoder:
        dim = 256

    names, _ = shipped()
    profile = load_profile(toy.ROOT / "configs/mobile.yaml")
    own = build_method(profile, build_frozen(profile, Encoder())).named_parameters()
    assert {current_name(name) for name in names} == {name for name, _ in own}


def test_the_config_of_the_shipped_editor_is_that_of_its_profile():
    _, tree = shipped()
    before = copy.deepcopy(tree)
    profile, expected = config.build(Profile, current_config(tree)), load_profile(toy.ROOT / "configs/mobile.yaml")
    assert tree == before, "the tree itself must be left as it is"
    resolved = [each.method.mapper.resolved() for each in (profile, expected)]
    assert resolved[0] == resolved[1]
    assert profile.method.attention.resolved() == expected.method.attention.resolved()
    # Younger than the shipped editor; previews, on which it was trained, do without.
    expected = replace(expected, blending=replace(expected.blending, keep_skin_light=False))
    sections = ("generator", "text_image", "regions", "blending", "preview_head", "preview_fit", "training", "data")
    for name in sections:
        assert getattr(profile, name) == getattr(expected, name), name
    assert current_config(current_config(tree)) == current_config(tree)


def test_options_go_to_the_choice_that_reads_them():
    old = {
        "generator": {"name": "stylegan2", "resolution": 32, "channel_multiplier": 1, "seed": 3, "truncation": 0.5},
        "text_image": {"name": "clip", "model": "ViT-B-32", "pixels": "released", "seed": 1, "embedding": "raw"},
        "regions": {"k": 20, "site": "64.conv1"},
        "training": {"preview": True, "steps": 5},
        "method": {
            "mapper": {"space": "w_principal", "own": 0.5, "aim": 8, "reach": 2.0, "dyes": ["Blue_Hair"], "hidden": 4},
            "attention": {"inputs": "trunk", "frozen": 0.1, "styled": False},
        },
    }
    assert current_config(old) == {
        "generator": {
            "name": "stylegan2",
            "truncation": 0.5,
            "options": {"resolution": 32, "channel_multiplier": 1, "seed": 3},
        },
        "text_image": {"name": "clip", "embedding": "raw", "options": {"model": "ViT-B-32", "pixels": "released"}},
        "regions": {"k": 20},
        "training": {"use_preview_head": True, "steps": 5},
        "method": {
            "mapper": {
                "name": "w_principal",
                "options": {
                    "per_site_weight": 0.5,
                    "direction_faces": 8,
                    "direction_length": 2.0,
                    "colours": ["Blue_Hair"],
                    "hidden": 4,
                },
            },
            "attention": {"options": {"inputs": "trunk", "starts_at": 0.1, "styled": False}},
        },
    }
    toy_encoder = {"text_image": {"name": "toy", "model": "x", "seed": 2}}
    assert current_config(toy_encoder) == {"text_image": {"name": "toy", "options": {"seed": 2}}}
    of_the_paper = {"method": {"mapper": {"space": "stylespace", "components": 96, "seed": 0}}}
    assert current_config(of_the_paper) == {"method": {"mapper": {"name": "stylespace"}}}


@pytest.mark.parametrize("name", ["mobile", "toy", "ffhq", "mobile_clip"])
def test_todays_configs_pass_through(name):
    tree = config.as_dict(load_profile(toy.ROOT / f"configs/{name}.yaml"))
    assert current_config(tree) == tree


OLD_TOY = """
name: toy
generator: {name: stylegan2, resolution: 32, channel_multiplier: 1, blend_site: 16.conv1}
text_image: {name: toy, seed: 0}
regions: {k: 4, site: 16.conv1, samples: 8, n_init: 1}
preview: {site: 16.conv1, canvases: 7}
method:
  mapper: {space: w_principal, components: 16, hidden: 32, samples: 2000, aim: 32}
  attention: {inputs: trunk, channels: 8, frozen: 0.1}
training: {preview: false, steps: 20}
"""


def test_a_config_file_with_old_keys_is_read(tmp_path):
    path = tmp_path / "old.yaml"
    path.write_text(OLD_TOY)
    profile, today = load_profile(path, ["training.steps=3"]), load_profile(toy.ROOT / "configs/toy.yaml")
    assert profile.generator == today.generator and profile.regions == today.regions
    assert profile.text_image.options == {"seed": 0}
    assert profile.method.mapper.resolved() == today.method.mapper.resolved()
    assert profile.method.attention.resolved().starts_at == 0.1
    assert (profile.preview_head.site, profile.preview_fit.canvases) == ("16.conv1", 7)
    assert (profile.training.use_preview_head, profile.training.steps) == (False, 3)


def test_old_keys_over_a_base_are_options_of_what_the_base_chooses(tmp_path):
    path = tmp_path / "child.yaml"
    path.write_text(
        f"base: {toy.ROOT / 'configs/toy.yaml'}\n"
        "generator: {seed: 5}\nmethod: {mapper: {aim: 8, dyes: []}, attention: {channels: 4}}\n"
    )
    profile = load_profile(path)
    assert profile.generator.options == {"resolution": 32, "channel_multiplier": 1, "seed": 5}
    mapper = profile.method.mapper.resolved()
    assert (mapper.components, mapper.direction_faces, mapper.colours) == (16, 8, ())
    assert profile.method.attention.resolved().channels == 4


@pytest.mark.parametrize(
    "text",
    [
        "generator: {name: [x], seed: 1}",
        "generator: {name: stylegan2, seed: 1, options: 3}",
        "preview: {steps: 1}\npreview_fit: 3",
        "method: {mapper: {space: w_principal, own: 0.5, x: 1}}",
    ],
)
def test_wrong_values_beside_old_keys_are_refused_in_one_sentence(tmp_path, text):
    path = tmp_path / "wrong.yaml"
    path.write_text(f"name: wrong\n{text}\n")
    with pytest.raises(ValueError):
        load_profile(path)
