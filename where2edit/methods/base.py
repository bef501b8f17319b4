"""What every method shares: its section in the config and what it is built from.

A registered factory is called as `METHODS.get(name)(Frozen(...), MethodConfig(...))` and returns a Method.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.attention.base import AttentionConfig
from where2edit.editing.blending import BlendingConfig, blended_trunk, blended_walk, tail
from where2edit.editing.mappers.base import MapperConfig
from where2edit.editing.preview_head import PreviewHead
from where2edit.editing.regions import Regions
from where2edit.generators.base import Generator


@dataclass(frozen=True)
class MethodConfig:
    """The `method` section."""

    name: str = "where2edit"
    weights: str | None = None  # trained editor that is edited with: asset name or path; training starts afresh
    strength: float = 0.1  # the paper's alpha, in training and by default in use
    mapper: MapperConfig = field(default_factory=MapperConfig)
    attention: AttentionConfig = field(default_factory=AttentionConfig)


@dataclass(frozen=True)
class Frozen:
    """The frozen things that a method is built from."""

    generator: Generator
    text_dim: int
    blend_site: str
    blending: BlendingConfig
    regions: Regions | None = None
    preview_head: PreviewHead | None = None
    preview_site: str = "128.conv1"


class Method(nn.Module):
    """Source and condition in, Edit out. `local`: whether pixels outside mask + halo are promised to stay."""

    local: bool = False
    reads_tail: bool = False  # whether it reads features past the blend site, which sequential edits must then carry on
    frozen: Frozen

    def latents(self, z: Tensor, truncation: float) -> Tensor:
        """z [n,512] -> w [n,L,512]."""
        return self.frozen.generator.w(z, truncation)

    @torch.no_grad()
    def source(self, w: Tensor, use_preview_head: bool = False) -> Source:
        """w [n,L,512] -> what forward needs; its image is the preview head's small one if that is used."""
        frozen = self.frozen
        if not use_preview_head:
            return frozen.generator.source(w)
        source = frozen.generator.source(w, upto=frozen.preview_site)
        return source.with_(image=self._preview(source.features[frozen.preview_site], source))

    def _preview(self, features: Tensor, source: Source) -> Tensor:
        """The preview head's picture of features at the preview site."""
        if self.frozen.preview_head is None:
            raise ValueError(
                "training.use_preview_head needs a preview head: set preview_head.weights, "
                "or training.use_preview_head=false"
            )
        return self.frozen.preview_head(features, source.styles)

    @abstractmethod
    def forward(self, source: Source, condition: Condition, use_preview_head: bool = False) -> Edit:
        """n sources and n*m conditions (m = condition.per_source edits of each source, in a row) -> n*m edits."""

    def render(self, source: Source, edit: Edit, use_preview_head: bool = False) -> Edit:
        """Blend the edited canvas into that of the source where the mask says so, and finish the picture.

        source and edit of the same length B; the image is [B,3,R,R], or the preview head's with `use_preview_head`.
        """
        frozen = self.frozen
        what = (frozen.generator, source, edit.styles, edit.mask, frozen.blend_site)
        if use_preview_head:
            blended = blended_trunk(*what)
            seen = tail(frozen.generator, source, blended, upto=frozen.preview_site)
            image = self._preview(seen.canvas.features, source)
        else:
            blended, image = blended_walk(*what, keep=self.reads_tail)
        return edit.with_(features=blended.features, rgb=blended.rgb, image=image)

    def schedule(self, progress: float) -> None:
        """Called before each training step with progress in [0,1): what is frozen until when."""
