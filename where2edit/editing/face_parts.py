"""The parts of a face that prompts and regions are described by: the classes of face parsing, with the skin divided.

The parser has one class for all skin. The forehead reaches down to the brows, the sockets to the eyes, the cheeks to
the tip of the nose, and the jaw is below. Skin beside the eyes belongs to the temples, over which the arms of glasses
run; the apples are the spots of the cheeks that blush. Ours, not the paper's.

Legend: B faces, s pixels of a parsed picture; 25 parts.
"""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from where2edit.backbones.face_areas import cheeks
from where2edit.backbones.face_parsing import CLASSES, class_ids, region_mask

BANDS = ("forehead", "sockets", "cheeks", "jaw")  # of skin, from top to bottom
PARTS = (*CLASSES, *BANDS, "temples", "apples")  # skin counts for one of the last six, and not for skin as a whole
UNIONS = {"skin": (*BANDS, "temples", "apples"), "cheeks": ("cheeks", "apples")}  # names that stand for several parts
APPLES = 0.4  # value of the spot on a cheek (face_areas.cheeks) from which skin counts as its apple
BESIDE = 0.15  # of the width from eye to eye: how far outside of the eyes the temples begin


def part_ids(part: str) -> tuple[int, ...]:
    """The columns of PARTS that make up a part, or a group or class of face parsing.

    Raises ValueError for an unknown name.
    """
    if part in UNIONS:
        return tuple(map(PARTS.index, UNIONS[part]))
    if part in PARTS[len(CLASSES) :]:
        return (PARTS.index(part),)
    skin = CLASSES.index("skin")
    return tuple(column for i in class_ids(part) for column in (part_ids("skin") if i == skin else (i,)))


def divided(labels: Tensor) -> Tensor:
    """Labels [s,s] of face parsing with skin replaced by its parts: [s,s] of columns of PARTS.

    Without brows, eyes and nose all of it is jaw.
    """
    rows = torch.arange(len(labels), device=labels.device)
    # The last row of forehead, sockets and cheeks; no band ends above the one before it.
    ends = list(accumulate((_last(labels, part, dim=0) for part in ("brows", "eyes", "nose")), max))
    band = sum((rows > end).long() for end in ends)  # [s] from 0, forehead, to 3, jaw
    skin = (len(CLASSES) + band[:, None]).expand_as(labels)
    skin = torch.where(_temples(labels), PARTS.index("temples"), skin)
    if region_mask(labels, "nose").any():  # without one there is nothing to find the apples by
        skin = torch.where(cheeks(labels[None])[0, 0] > APPLES, PARTS.index("apples"), skin)
    return torch.where(region_mask(labels, "skin"), skin, labels)


def _temples(labels: Tensor) -> Tensor:
    """Pixels beside the eyes, between the top of the brows and one height of the eyes below them: bool [s,s]."""
    eyes, size = region_mask(labels, "eyes", "glasses"), len(labels)
    if not eyes.any():
        return torch.zeros_like(eyes)
    top, bottom = _first(labels, "brows", "glasses", dim=0), _last(labels, "eyes", "glasses", dim=0)
    left, right = _first(labels, "eyes", dim=1), _last(labels, "eyes", dim=1)
    margin = BESIDE * max(right - left, 0)
    line = torch.arange(size, device=labels.device)
    height = bottom - _first(labels, "eyes", "glasses", dim=0)
    down = (line >= top) & (line <= bottom + height)
    across = (line < left - margin) | (line > right + margin)
    return down[:, None] & across[None]


def _last(labels: Tensor, *parts: str, dim: int) -> int:
    """The last row (dim 0) or column (1) in which one of the parts is seen; -1 where none is."""
    seen = region_mask(labels, *parts).any(1 - dim).nonzero()
    return int(seen.max()) if len(seen) else -1


def _first(labels: Tensor, *parts: str, dim: int) -> int:
    """The first row (dim 0) or column (1) in which one of the parts is seen; 0 where none is."""
    seen = region_mask(labels, *parts).any(1 - dim).nonzero()
    return int(seen.min()) if len(seen) else 0
