"""What every method shares: its section in the config, what it is built from, and its interface.

A registered factory is called as `METHODS.get(name)(Frozen(...), MethodConfig(...))` and returns a Method. The options
that it was registered with, a dataclass of its own, are `config.resolved()`.

Legend: n sources, m edits of each, B = n*m, Z numbers of z, L w codes of W numbers, R output resolution, r blend
resolution, s pixels of the preview head's picture.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from where2edit.core.bounds import PositiveShare
from where2edit.core.config import YOUNGER, Choice
from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.attention.base import AttentionConfig
from where2edit.editing.blended_walk import blended_sites
from where2edit.editing.mappers.base import MapperConfig
from where2edit.editing.masks import BlendingConfig
from where2edit.editing.preview_head import Preview, PreviewHead, source_seen
from where2edit.editing.regions import Regions
from where2edit.editing.rendering import render_blended
from where2edit.editing.seams.base import Seam
from where2edit.editing.skin_light import SkinLight
from where2edit.generators.base import Generator
from where2edit.methods import METHODS
from where2edit.text_image.base import TextImage


@dataclass(frozen=True)
class MethodConfig(Choice):
    """The `method` section: a registered method with its own options, and what all methods share."""

    registry = METHODS
    where = "method"

    name: str = "where2edit"
    options: dict[str, Any] = field(default_factory=dict, metadata=YOUNGER)  # checked against the method's own options
    weights: str | None = None  # trained editor for editing: asset name or path; training starts from random weights
    # The paper's alpha in training; in use the default of a profile without a calibration.
    strength: PositiveShare = 0.1
    mapper: MapperConfig = field(default_factory=MapperConfig)
    attention: AttentionConfig = field(default_factory=AttentionConfig)


@dataclass(frozen=True)
class Frozen:
    """What a method is built from and never trains: generator, regions, preview head, and their settings."""

    generator: Generator
    text_dim: int  # numbers of an embedding
    blend_site: str
    blending: BlendingConfig
    regions: Regions | None = None
    preview_head: PreviewHead | None = None
    preview_site: str = "128.conv1"

    @property
    def own_preview(self) -> Preview | None:
        """The preview head and its site; None where there is no head."""
        return self.preview(self.preview_head is not None)

    def preview(self, use_preview_head: bool) -> Preview | None:
        """The preview head and its site, or None for full images. Raises ValueError where there is no head to use."""
        if not use_preview_head:
            return None
        if self.preview_head is None:
            raise ValueError(
                "training.use_preview_head needs a preview head: set preview_head.weights, or preview_head.site to an "
                "RGB site of StyleGAN2, or training.use_preview_head=false"
            )
        return Preview(self.preview_head, self.preview_site)

    def seam(self, use_preview_head: bool) -> Seam | None:
        """What fits the edited canvas to the source at the mask's rim; none for previews, which it would slow."""
        return None if use_preview_head else self.blending.seam.built()

    def skin_light(self, use_preview_head: bool) -> SkinLight | None:
        """What keeps skin from becoming lighter, where the profile asks for it; none for previews, which it would slow.

        Raises ValueError where there is no preview head at the blend site, and for regions not divided by part.
        """
        if use_preview_head or not self.blending.keep_skin_light:
            return None
        if self.preview_head is None or self.preview_site != self.blend_site:
            raise ValueError(
                f"blending.keep_skin_light needs a preview head at the blend site '{self.blend_site}'; set "
                "preview_head, or blending.keep_skin_light=false"
            )
        if self.regions is None or self.regions.classifier is None:
            raise ValueError(
                "blending.keep_skin_light needs regions that are divided by part; run scripts/cluster.py with "
                "regions.by_parts=true, or set blending.keep_skin_light=false"
            )
        return SkinLight(self.preview_head, self.regions.classifier)

    def flat_mask(self, source: Source, value: float) -> Tensor:
        """A mask [B,1,r,r] that is `value` everywhere, at the blend resolution."""
        cells = self.generator.site(self.blend_site).resolution
        return source.w.new_full((len(source), 1, cells, cells), value)


class Method(nn.Module, ABC):
    """Source and condition in, Edit out: a method proposes styles and a mask, then renders the picture.

    n sources and n*m conditions (m = condition.per_source edits of each source, in a row) make n*m edits.
    """

    local: bool = False  # whether pixels outside mask + halo are promised to stay as they are
    reads_tail: bool = False  # whether it reads features past the blend site, which sequential edits must then carry on
    needs_weights: bool = True  # whether it edits by trained weights; False: `precompute` makes all that it needs
    one_prompt: bool = False  # whether a model of it edits by the one prompt that it was trained with, and no other
    learns_codes: bool = False  # whether it is trained on pictures and their codes (training/space_alignment.py)

    def __init__(self, frozen: Frozen):
        super().__init__()
        self.frozen = frozen

    @abstractmethod
    def propose(self, source: Source, condition: Condition) -> Edit:
        """Everything but the picture: n sources, n*m conditions -> new styles and the mask of n*m edits."""

    def render(self, source: Source, edit: Edit, use_preview_head: bool = False, keep_tail: bool | None = None) -> Edit:
        """Blend the edited canvas into the source's under the mask, and finish the picture with the source's styles.

        Source and edit have the same length B. The image is [B,3,R,R] in [-1,1], or with `use_preview_head` the preview
        head's [B,3,s,s]. keep_tail: whether the edit gets what the tail wrote, without which a method that reads it
        cannot edit the result again; None: where the method reads it. Raises ValueError where there is no head to use.
        """
        frozen, preview = self.frozen, self.frozen.preview(use_preview_head)
        return render_blended(
            frozen.generator,
            source,
            edit,
            frozen.blend_site,
            preview,
            keep_tail=self.reads_tail if keep_tail is None else keep_tail,
            # Where memory bounds the tail; a GPU runs it in one piece sooner than it looks where the mask is.
            windowed=source.image is not None and not (torch.is_grad_enabled() or edit.mask.is_cuda),
            seam=frozen.seam(use_preview_head),
            skin_light=frozen.skin_light(use_preview_head),
        )

    def forward(self, source: Source, condition: Condition, use_preview_head: bool = False) -> Edit:
        """n sources, n*m conditions -> n*m edits with their pictures."""
        return self.render(source.repeat(condition.per_source), self.propose(source, condition), use_preview_head)

    def latents(self, z: Tensor, truncation: float) -> Tensor:
        """Latents z [n,Z] -> w [n,L,W]; truncation: 1 leaves w as it is, 0 gives the mean face."""
        return self.frozen.generator.w(z, truncation)

    @torch.no_grad()
    def source(self, w: Tensor, use_preview_head: bool = False, residual: Tensor | None = None) -> Source:
        """Latents w [n,L,W] -> the Source that `forward` edits; with `use_preview_head` its image is the head's.

        residual [n,C,r,r]: of a photo, what its canvas has at the blend site beyond what w writes there.
        Of a whole one it keeps what was written up to the sites that are blended, all of it where the method reads it.
        """
        frozen = self.frozen
        keep = None if self.reads_tail else blended_sites(frozen.generator, frozen.blend_site)[-1].name
        added = {} if residual is None else {frozen.generator.site(frozen.blend_site).name: residual}
        return source_seen(frozen.generator, w, frozen.preview(use_preview_head), keep, added)

    def check(self, condition: Condition) -> None:
        """Raise ValueError for a condition that the method cannot edit by; asked before a face is made."""

    def precompute(self, encoder: TextImage) -> None:
        """Make what the method needs besides trained weights, or read it from the cache (files/kept.py).

        Called once, after it is built; this is where a method that learns nothing gets what it edits by. Nothing by
        default. encoder: the profile's own.
        """

    def schedule(self, progress: float) -> None:
        """Freeze or release parts of the method; called before each training step with the run's progress in [0,1)."""
