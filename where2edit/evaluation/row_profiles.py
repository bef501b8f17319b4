"""The profile of a row: the one under test with the row's changes, or a config of a method of its own.

A method that the evaluation trains has its models in the folder of the report, under a name that tells its config.
"""

from __future__ import annotations

from pathlib import Path

from where2edit.core import config as configs
from where2edit.editor.build import learns_one_prompt
from where2edit.editor.profile import Profile, load_profile
from where2edit.editor.weights import RESULT
from where2edit.evaluation.protocols import Row
from where2edit.evaluation.store import slug
from where2edit.files import assets, manifest

CONFIGS = "configs/methods"
SHARED = ("generator", "text_image")  # sections that every row has in common with the profile under test


def config_file(profile: Profile, name: str) -> Path:
    """The config of a method for a profile: NAME_PROFILE.yaml in configs/methods where there is one, else NAME.yaml.

    A name that ends with .yaml is the path of a config.
    """
    if name.endswith(".yaml"):
        return manifest.found(name)
    own = assets.shipped(f"{CONFIGS}/{name}_{profile.name}.yaml")
    return own if own.is_file() else assets.shipped(f"{CONFIGS}/{name}.yaml")


def row_profile(profile: Profile, row: Row) -> Profile:
    """The profile that a row is built from. Raises ValueError for a config or a change that does not fit."""
    if row.config is None:
        return configs.build(Profile, configs.override(configs.as_dict(profile), row.overrides))
    return load_profile(config_file(profile, row.config), row.overrides)


def models_folder(folder: Path, row: Row, own: Profile) -> Path:
    """Where the models of a row that the evaluation trains lie; own: the row's profile, folder: that of the report."""
    return folder / "models" / f"{slug(row.label)}-{own.training_digest}"


def trained_weights(folder: Path, row: Row, own: Profile) -> Path:
    """What an editor of such a row gets as its weights: the folder of models by prompt, or the file of the one."""
    models = models_folder(folder, row, own)
    return models if learns_one_prompt(own) else models / RESULT
