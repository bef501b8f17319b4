"""A profile: the whole config tree, and the frozen parts and the method that it describes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from where2edit.core import config
from where2edit.core.registry import nearest
from where2edit.editing import preview_head
from where2edit.editing.blending import BlendingConfig
from where2edit.editing.conditions import Conditions
from where2edit.editing.preview_head import PreviewHeadConfig
from where2edit.editing.regions import RegionConfig, Regions
from where2edit.files import assets, formats
from where2edit.generators import GENERATORS
from where2edit.generators.base import Generator, GeneratorConfig
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, Method, MethodConfig
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.base import TextImage, TextImageConfig
from where2edit.training.losses.base import LossConfig
from where2edit.training.prompts import DataConfig
from where2edit.training.state import trained
from where2edit.training.trainer import TrainingConfig


@dataclass(frozen=True)
class Profile:
    """Every section of a config file; YAML holds only what differs from these defaults."""

    name: str
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    text_image: TextImageConfig = field(default_factory=TextImageConfig)
    regions: RegionConfig = field(default_factory=RegionConfig)
    blending: BlendingConfig = field(default_factory=BlendingConfig)
    preview_head: PreviewHeadConfig = field(default_factory=PreviewHeadConfig)
    method: MethodConfig = field(default_factory=MethodConfig)
    losses: dict[str, LossConfig] = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    data: DataConfig = field(default_factory=DataConfig)

    @property
    def regions_file(self) -> str:
        """Where the fitted centres of this profile are kept, relative to the project."""
        return f"pretrained_models/regions-{self.name}-k{self.regions.k}.safetensors"

    @property
    def reads_region_names(self) -> bool:
        """Whether training needs to know which parts of a face the regions show."""
        named = self.losses.get("named_regions")
        return bool(self.method.mapper.dyes) or (named is not None and named.weight > 0)


def load(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Profile:
    """The profile in a YAML file, with `key=value` overrides. Raises ValueError with one sentence."""
    return config.load(Profile, path, overrides)


def resolve(weights: str) -> Path:
    """A weight named in a config: an asset, in safetensors if its format is official; a project file; or any path."""
    if weights in assets.entries():
        return formats.located(weights)
    found = next((p for p in (Path(weights), assets.shipped(weights)) if p.is_file()), None)
    if found is None:
        raise ValueError(f"no weights at {weights}: neither a file nor an asset; {nearest(weights, assets.entries())}")
    return found


def build_generator(profile: Profile, device: torch.device | str = "cpu") -> Generator:
    return GENERATORS.get(profile.generator.name)(profile.generator).to(device)


def build_encoder(profile: Profile, device: torch.device | str = "cpu") -> TextImage:
    return TEXT_IMAGE.get(profile.text_image.name)(profile.text_image).to(device)


def build_frozen(profile: Profile, encoder: TextImage, device: torch.device | str = "cpu") -> Frozen:
    """Generator, regions and preview head of a profile; the regions must have been fitted."""
    generator = build_generator(profile, device)
    regions_file = assets.shipped(profile.regions_file)
    head = None
    if profile.preview_head.weights is not None:
        head = preview_head.load(resolve(profile.preview_head.weights)).to(device)
    return Frozen(
        generator=generator,
        text_dim=encoder.dim,
        blend_site=profile.generator.blend_site,
        blending=profile.blending,
        regions=Regions.load(regions_file, generator) if regions_file.is_file() else None,
        preview_head=head,
        preview_site=profile.preview_head.site,
    )


def build_method(profile: Profile, frozen: Frozen, weights: str | None = None) -> Method:
    """The method of a profile; with `weights` trained, else freshly initialised from the seed.

    `method.weights`, the editor that a profile edits with, is not where a training starts: whoever edits passes it.
    """
    torch.manual_seed(profile.training.seed)
    method = METHODS.get(profile.method.name)(frozen, profile.method).to(frozen.generator.w_mean.device)
    if weights is not None:
        load_editor(method, resolve(weights))
    return method


def load_editor(method: Method, path: Path) -> None:
    """Fill a method's trained tensors from safetensors. Raises ValueError when the file does not fit."""
    try:
        with safe_open(path, "pt") as file:
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file ({error}); train an editor with scripts/train.py") from None
    own = dict(method.named_parameters())
    wrong = [name for name in own.keys() | tensors.keys() if name not in tensors or name not in own]
    wrong += [name for name in own.keys() & tensors.keys() if own[name].shape != tensors[name].shape]
    if wrong:
        raise ValueError(
            f"{path} does not fit this config: {', '.join(sorted(wrong)[:4])} ({len(wrong)} tensors differ)"
        )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[name])


def editor_tensors(method: Method) -> dict[str, Tensor]:
    """What a published editor holds: every trained tensor as float16."""
    method.requires_grad_(True)
    return {name: value.half() for name, value in trained(method).items()}


def build_conditions(profile: Profile, encoder: TextImage) -> Conditions:
    return Conditions(encoder, profile.text_image.embedding == "raw")


def corpus(profile: Profile) -> Path:
    """The folder of the caption corpus: as the config writes it, or in the project."""
    folder = Path(profile.data.captions)
    return folder if folder.is_dir() else assets.shipped(profile.data.captions)
