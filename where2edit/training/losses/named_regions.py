"""A loss that keeps the attention on the parts of the face that the prompt names. Ours, not the paper's.

Under the contrastive loss alone masks grow: with the whole face inside the mask, an edit for lipstick can raise its
score by changing the face. Which parts a region shows is measured once by face parsing (editing/region_shares.py), and
which parts a word names is a table (editing/prompt_parts.py), so that training needs neither a parser nor labels.
Prompts that name no part add nothing.

Legend: B edits, k regions, r blend resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from where2edit.core.bounds import Weight
from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.prompt_parts import NamedParts, named_parts
from where2edit.editing.region_shares import belonging
from where2edit.ops.region_mean import region_averages
from where2edit.text_image.base import TextImage
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import Loss
from where2edit.training.losses.region_attention import needs_regions

SMALLEST = 1e-6  # keeps the logarithm of a saturated attention finite


@dataclass(frozen=True)
class NamedRegionsOptions:
    """The `losses.named_regions.options`."""

    inside: Weight = 1.0  # weight of the named parts; 0 only keeps the attention off the others


@LOSSES.register("named_regions", options=NamedRegionsOptions)
class NamedRegions(Loss):
    """Cross entropy of the attention: 1 on regions of the named parts, 0 on those of other parts.

    Regions of parts that may change with the named ones are left free. Named and other regions weigh the same in total,
    and each region weighs the same among its kind, however small it is. Mean over the edits of a batch.
    """

    reads_region_shares = True

    def __init__(self, encoder: TextImage, options: NamedRegionsOptions):
        self.options = options

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        needs_regions(edit, "named_regions")
        if edit.region_shares is None:
            raise ValueError(
                "named_regions needs regions whose parts of a face are known; run scripts/cluster.py, "
                "or set losses.named_regions.weight=0"
            )
        on, seen = region_averages((edit.attention + SMALLEST).log(), edit.regions, edit.num_regions)  # [B,k] each
        off, _ = region_averages((1 - edit.attention + SMALLEST).log(), edit.regions, edit.num_regions)
        total = edit.attention.new_zeros(())
        for number, parts in enumerate(map(named_parts, condition.prompts)):
            if parts is not None:
                inside, outside = (where & seen[number] for where in _regions(parts, edit.region_shares))
                total = total - self.options.inside * _mean(on[number], inside) - _mean(off[number], outside)
        return total / len(edit.attention)


def _regions(parts: NamedParts, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Which regions are of the named parts, and in which nothing should change: bool [k] each."""
    return belonging(shares, parts.must), ~belonging(shares, parts.must | parts.may)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean of values [k] where bool [k] is true; 0 where it is true nowhere."""
    return (values * where).sum() / where.sum().clamp_min(1)
