"""The profile: the whole config of an editor, one section for each thing that is built from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from where2edit.core import config
from where2edit.editing.masks import BlendingConfig
from where2edit.editing.preview_head import PreviewHeadConfig
from where2edit.editing.regions import RegionConfig
from where2edit.editor.migration import current_config
from where2edit.editor.natural_strength import NaturalStrengthConfig
from where2edit.files import assets
from where2edit.generators.base import GeneratorConfig
from where2edit.methods.base import MethodConfig
from where2edit.text_image.base import TextImageConfig
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import LossConfig
from where2edit.training.preview_fit import PreviewFitConfig
from where2edit.training.prompts import DataConfig
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
    preview_fit: PreviewFitConfig = field(default_factory=PreviewFitConfig)
    method: MethodConfig = field(default_factory=MethodConfig)
    natural_strength: NaturalStrengthConfig = field(default_factory=NaturalStrengthConfig)
    losses: dict[str, LossConfig] = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    data: DataConfig = field(default_factory=DataConfig)

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
    def reads_region_shares(self) -> bool:
        """Whether training needs to know which parts of a face the regions show."""
        used = [name for name, entry in self.losses.items() if entry.weight > 0]
        colours = getattr(self.method.mapper.resolved(), "colours", ())
        return bool(colours) or any(LOSSES.get(name).reads_region_shares for name in used)


def load_profile(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Profile:
    """The profile in a YAML file, with `key=value` overrides. Raises ValueError for whatever does not fit.

    Files with the keys of earlier versions are read too (editor/migration.py).
    """
    return config.load(Profile, path, overrides, current_config)
