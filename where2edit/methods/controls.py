"""Controls of the evaluation: the scores of an editor that does nothing, edits everywhere, or is given the region.

`full-image` and `oracle-mask` use the mapper of the trained method and replace its mask.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from where2edit.backbones.face_parsing import FaceParser
from where2edit.core.records import Condition, Edit, Source
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, Method, MethodConfig
from where2edit.methods.where2edit import Where2Edit


@METHODS.register("no-op")
class NoOp(Method):
    """An editor that returns the source: shows which figures are won by changing nothing."""

    local = True

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__(frozen)

    def propose(self, source: Source, condition: Condition) -> Edit:
        """The source's own styles under an empty mask."""
        repeated = source.repeat(condition.per_source)
        return Edit(styles=repeated.styles, mask=self.frozen.flat_mask(repeated, 0.0))

    def render(self, source: Source, edit: Edit, use_preview_head: bool = False, keep_tail: bool | None = None) -> Edit:
        """An empty mask gives the picture of the source, which needs no walk; any other mask is blended."""
        if not edit.mask.any():
            return edit.with_(image=source.image, layers=source.layers, residual=source.residual)
        return super().render(source, edit, use_preview_head, keep_tail)


@METHODS.register("full-image")
class FullImage(Where2Edit):
    """The trained mapper under a mask of ones: shows what changes outside the region without an attention."""

    def propose(self, source: Source, condition: Condition) -> Edit:
        edit = super().propose(source, condition)
        return edit.with_(mask=torch.ones_like(edit.mask), attention=None, region_attention=None)


@METHODS.register("oracle-mask")
class OracleMask(Where2Edit):
    """The trained mapper under the parsed part of the face that the prompt names: the best that an attention could do.

    `regions` {prompt: names of groups or classes of face parsing} is empty at first; the caller fills it.
    """

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__(frozen, config)
        self.regions: dict[str, tuple[str, ...]] = {}
        self.parser: FaceParser | None = None

    def propose(self, source: Source, condition: Condition) -> Edit:
        """As where2edit, with the parsed part as the mask. Raises ValueError for a prompt that `regions` lacks."""
        unknown = [prompt for prompt in condition.prompts if prompt not in self.regions]
        if unknown or not condition.prompts:
            raise ValueError(f"oracle-mask does not know the region of {unknown or 'no prompt'}; fill `regions`")
        self.parser = self.parser or FaceParser.load().to(source.w.device)
        edit = super().propose(source, condition)
        images = source.repeat(condition.per_source).image
        masks = [self.parser.mask(images[i : i + 1], *self.regions[p]) for i, p in enumerate(condition.prompts)]
        # A cell that holds any of the region is edited: a nearest-neighbour resize would lose thin regions.
        mask = F.adaptive_max_pool2d(torch.cat(masks).to(edit.mask), edit.mask.shape[-2:])
        return edit.with_(mask=mask, attention=None, region_attention=None)
