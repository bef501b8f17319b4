"""The profile: the whole config of an editor, one section for each thing that is built from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from where2edit.core import config
from where2edit.core.devices import resolve_dtype
from where2edit.editing.masks import BlendingConfig
from where2edit.editing.preview_head import PreviewHeadConfig
from where2edit.editing.regions import RegionConfig
from where2edit.editor.migration import current_config
from where2edit.editor.natural_strength import NaturalStrengthConfig
from where2edit.files import assets, manifest
from where2edit.files.fingerprints import config_digest
from where2edit.generators import GENERATORS
from where2edit.generators.base import GeneratorConfig
from where2edit.inversion import INVERSIONS
from where2edit.inversion.base import InversionConfig
from where2edit.methods.base import MethodConfig
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.base import TextImageConfig
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import LossConfig
from where2edit.training.preview_fit import PreviewFitConfig
from where2edit.training.prompts import DataConfig
from where2edit.training.space_alignment import AlignmentConfig
from where2edit.training.trainer import TrainingConfig

# What a training of an editor does not read, what it only writes, and its length.
NOT_TRAINED: tuple[str, ...] = ("training.steps", "training.snapshot_every", "training.sheet_every")
NOT_TRAINED += ("training.tensorboard", "method.weights", "natural_strength", "preview_fit", "generator.dtype")
NOT_TRAINED += ("generator.cuda_graphs", "inversion")


@dataclass(frozen=True)
class Profile:
    """Every section of a config file; YAML holds only what differs from these defaults."""

    name: str
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    text_image: TextImageConfig = field(default_factory=TextImageConfig)
    regions: RegionConfig = field(default_factory=RegionConfig)
    blending: BlendingConfig = field(default_factory=BlendingConfig)
    preview_head: PreviewHeadConfig = field(default_factory=PreviewHeadConfig)
    preview_fit: PreviewFitConfig = field(default_factory=PreviewFitConfig)
    method: MethodConfig = field(default_factory=MethodConfig)
    natural_strength: NaturalStrengthConfig = field(default_factory=NaturalStrengthConfig)
    inversion: InversionConfig = field(default_factory=InversionConfig)
    losses: dict[str, LossConfig] = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    data: DataConfig = field(default_factory=DataConfig)
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig, metadata=config.YOUNGER)

    def __post_init__(self):
        config.check_name(self.name, "the name of a profile")
        # Whatever is chosen by name is refused here, before anything is built; method, mapper, attention and seam see
        # to it themselves.
        config.build_options(GENERATORS, self.generator.name, self.generator.options, "generator.options")
        config.build_options(TEXT_IMAGE, self.text_image.name, self.text_image.options, "text_image.options")
        config.build_options(INVERSIONS, self.inversion.name, self.inversion.options, "inversion.options")
        for name, entry in self.losses.items():
            config.build_options(LOSSES, name, entry.options, f"losses.{name}.options")

    def on(self, device: torch.device | str) -> Profile:
        """The profile with the number type that it works with on a device in place of "auto"."""
        dtype = resolve_dtype(self.generator.dtype, device)
        return replace(self, generator=replace(self.generator, dtype=dtype))

    @property
    def regions_file(self) -> str:
        """The file of this profile's fitted regions, relative to the project."""
        return f"pretrained_models/regions-{self.name}-k{self.regions.k}.safetensors"

    @property
    def captions_folder(self) -> Path:
        """The folder of the caption corpus: the config's path as it stands, or else below the project."""
        folder = Path(self.data.captions)
        return folder if folder.is_dir() else assets.shipped(self.data.captions)

    @property
    def training_digest(self) -> str:
        """What names the training of an editor: all that changes its numbers, but for its length, which may grow."""
        return config_digest(self, without=NOT_TRAINED)

    @property
    def reads_region_shares(self) -> bool:
        """Whether training needs to know which parts of a face the regions show."""
        used = [name for name, entry in self.losses.items() if entry.weight > 0]
        colours = getattr(self.method.mapper.resolved(), "colours", ())
        return bool(colours) or any(LOSSES.get(name).reads_region_shares for name in used)


def load_profile(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Profile:
    """The profile in a YAML file (see `manifest.found`), with `key=value` overrides.

    Raises ValueError for whatever does not fit.

    Files with the keys of earlier versions are read too (editor/migration.py).
    """
    return config.load(Profile, manifest.found(path), overrides, current_config)
