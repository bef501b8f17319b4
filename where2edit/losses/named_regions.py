"""The words say where: attention stays on the parts of the face that the prompt names. Ours, not the paper's.

The contrastive loss alone likes large masks: with the whole face in reach, lipstick is best shown by another face. What
a region shows is measured once by face parsing (region_names.py) and what a word names is written down
(data/face_words.py), so that training needs neither a parser nor labels. Prompts that name no part are left alone.

Legend: B edits, k regions, r blend resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from where2edit.data.face_words import Parts, named_parts
from where2edit.losses import LOSSES
from where2edit.losses.region_attention import needs_regions
from where2edit.records import Condition, Edit, Source
from where2edit.region_names import belonging
from where2edit.text_image.base import TextImage

SMALLEST = 1e-6  # keeps the logarithm of a saturated attention finite


@dataclass(frozen=True)
class Options:
    inside: float = 1.0  # weight of the named parts; 0 only keeps the attention off the others


@LOSSES.register("named_regions")
class NamedRegions:
    """Cross entropy of the attention: 1 on regions of the named parts, 0 on those of others, free where it may be.

    Named and other regions weigh the same in total, and so does each region of either, however small: lipstick that
    takes the tip of the nose is not a detail. Mean over the edits of a batch.
    """

    Options = Options

    def __init__(self, encoder: TextImage, options: Options):
        self.options = options

    def __call__(self, source: Source, edit: Edit, condition: Condition) -> Tensor:
        needs_regions(edit, "named_regions")
        if edit.region_names is None:
            raise ValueError(
                "named_regions needs regions with names; run scripts/cluster.py, or set losses.named_regions.weight=0"
            )
        total = edit.attention.new_zeros(())
        for prompt, a, labels in zip(condition.prompts, edit.attention[:, 0], edit.regions, strict=True):
            parts = named_parts(prompt)
            if parts is not None:
                sizes = labels.flatten().bincount(minlength=len(edit.region_names))
                inside, outside = _regions(parts, edit.region_names, sizes > 0)
                total = total - self.options.inside * _mean((a + SMALLEST).log(), inside, labels, sizes)
                total = total - _mean((1 - a + SMALLEST).log(), outside, labels, sizes)
        return total / len(edit.attention)


def _regions(parts: Parts, names: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Which regions seen in an image are of the named parts, and where nothing should change: bool [k] each."""
    return belonging(names, parts.must) & seen, ~belonging(names, parts.must | parts.may) & seen


def _mean(values: Tensor, regions: Tensor, labels: Tensor, sizes: Tensor) -> Tensor:
    """Mean over `regions` of the mean of values [r,r] in each; 0 without any."""
    weight = regions / sizes.clamp_min(1)
    return (values * weight[labels]).sum() / regions.sum().clamp_min(1)
