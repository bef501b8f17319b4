"""From a profile to the things that it describes: all wiring of the package on one screen.

The order is encoder, generator, everything that the method is built from (`Frozen`), method. `device` is a torch
device. All functions raise ValueError for a config that cannot be built.
"""

from __future__ import annotations

from pathlib import Path

import torch

from where2edit.core.config import build_section
from where2edit.core.devices import Dtype, resolve_dtype
from where2edit.editing import preview_head
from where2edit.editing.blended_walk import blended_sites, has_rgb_skip
from where2edit.editing.conditions import Conditions
from where2edit.editing.cosine_calibration import CosineCalibration, calibration_file
from where2edit.editing.regions import Regions
from where2edit.editor.natural_strength import NaturalStrength
from where2edit.editor.profile import Profile
from where2edit.editor.prompt_weights import model_files
from where2edit.editor.understanding import Vocabulary
from where2edit.editor.weights import find_weights, load_editor
from where2edit.files import assets
from where2edit.generators import GENERATORS
from where2edit.generators.base import Generator
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, Method
from where2edit.methods.prompt_models import PromptModels
from where2edit.ops.cuda_graphs import Graphs
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.base import TextImage
from where2edit.text_image.facetext import FaceText


def build_generator(profile: Profile, device: torch.device | str = "cpu", dtype: Dtype | None = None) -> Generator:
    """The frozen generator; `dtype`: in place of the profile's."""
    generator = placed(build_section(GENERATORS, profile.generator, "generator"), device)
    generator.graphs = Graphs() if profile.generator.cuda_graphs else None
    if resolve_dtype(dtype or profile.generator.dtype, device) == "bfloat16":
        generator.bfloat16_after = blended_sites(generator, profile.generator.blend_site)[-1].name
    return generator


def placed(generator: Generator, device: torch.device | str) -> Generator:
    """The generator itself on a device, with its weights, and so all that it writes, channels last."""
    return generator.to(device).lay_out()


def build_encoder(profile: Profile, device: torch.device | str = "cpu") -> TextImage:
    """The frozen text-image encoder."""
    return build_section(TEXT_IMAGE, profile.text_image, "text_image").to(device)


def build_conditions(profile: Profile, encoder: TextImage, truncate: bool = False) -> Conditions:
    """The Conditions of a profile; prompts that are too long are cut (`truncate`, for training) or refused."""
    return Conditions(encoder, profile.text_image.embedding == "raw", truncate)


def build_frozen(
    profile: Profile, encoder: TextImage, device: torch.device | str = "cpu", dtype: Dtype | None = None
) -> Frozen:
    """Generator, regions and preview head; regions are None where none have been fitted.

    dtype: as `build_generator`'s.
    """
    return frozen_on(build_generator(profile, device, dtype), profile, encoder)


def frozen_on(generator: Generator, profile: Profile, encoder: TextImage) -> Frozen:
    """As `build_frozen`, on a generator that is there already: the profile's own."""
    site = generator.site(profile.generator.blend_site).name  # refused here, before a file of regions is
    regions_file, head = assets.shipped(profile.regions_file), None
    if profile.preview_head.weights is not None:
        head = preview_head.load(find_weights(profile.preview_head.weights), generator, profile.preview_head.site)
        head = head.to(generator.w_mean.device)
    elif has_rgb_skip(generator) and profile.preview_head.site in [each.name for each in generator.sites if each.rgb]:
        head = preview_head.rgb_skip()
    return Frozen(
        generator=generator,
        text_dim=encoder.dim,
        blend_site=site,
        blending=profile.blending,
        regions=Regions.load(regions_file, generator, site, profile.regions) if regions_file.is_file() else None,
        preview_head=head,
        preview_site=profile.preview_head.site,
    )


def build_natural_strength(profile: Profile, frozen: Frozen, encoder: TextImage) -> NaturalStrength | None:
    """What chooses strengths, or None for a profile without a calibration."""
    config = profile.natural_strength
    if config.calibration is None:
        return None
    path = calibration_file(config.calibration)
    preview = frozen.own_preview
    calibration = CosineCalibration.load(path, frozen.generator, encoder, preview)
    return NaturalStrength(config, calibration, encoder, profile.method.strength)


def build_vocabulary(encoder: TextImage) -> Vocabulary | None:
    """What tells whether a prompt is understood; None for encoders of which nobody knows what they know."""
    return Vocabulary(encoder.words) if isinstance(encoder, FaceText) else None


def build_method(profile: Profile, frozen: Frozen, weights: str | None = None) -> Method:
    """The method; with `weights` (asset name or path) trained, else freshly initialised from the training's seed.

    The weights of a method that learns one prompt are a folder with the models of several, or the file of one model.
    `profile.method.weights` is not read here, since a training does not start from it; for editing, pass it as
    `weights`.
    """
    if weights is not None and learns_one_prompt(profile):
        files = model_files(find_weights(weights))
        return PromptModels({prompt: built(profile, frozen, file) for prompt, file in files.items()})
    return built(profile, frozen, None if weights is None else find_weights(weights))


def built(profile: Profile, frozen: Frozen, weights: Path | None = None) -> Method:
    """One model of the method, trained or freshly initialised."""
    torch.manual_seed(profile.training.seed)
    method = METHODS.get(profile.method.name)(frozen, profile.method).to(frozen.generator.w_mean.device)
    if weights is not None:
        load_editor(method, weights, profile)
    return method


def learns_one_prompt(profile: Profile) -> bool:
    """Whether a model of the profile's method edits by one prompt only."""
    return getattr(METHODS.get(profile.method.name), "one_prompt", False)


def needs_weights(profile: Profile) -> bool:
    """Whether the profile's method edits by trained weights; without any, its edits are those of an untrained one."""
    return getattr(METHODS.get(profile.method.name), "needs_weights", True)
