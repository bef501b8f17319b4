"""What a user asks of one edit.

Legend: R output resolution, H x W pixels of a reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PIL import Image
from torch import Tensor

from where2edit.core.sentences import quoted

MASK_MODES = ("replace", "multiply")  # in place of the attention's mask, or times it


@dataclass(frozen=True, eq=False)
class Step:
    """One edit as a user asks for it."""

    prompt: str
    where: str | None = None  # what the attention reads in place of `prompt` (two-prompt editing)
    # The paper's alpha, from -1 to 1 (negative reverses), or "auto": natural strength (editor/natural_strength.py).
    # None: "auto" where the profile has a calibration, else its method.strength.
    strength: float | Literal["auto"] | None = None
    threshold: float | None = None  # attention below it is not edited, from 0 to 1; None: the profile's
    # An image [1,3,H,W] in [-1,1] or a picture, whose embedding drives the mapping (regional style transfer).
    reference: Tensor | Image.Image | None = None
    # The user's own mask: [1,1,R,R] in [0,1], or a picture in which white is edited (files/mask_reading.py).
    mask: Tensor | Image.Image | None = None
    mask_mode: Literal["replace", "multiply"] = "replace"  # in place of the attention's mask, or times it
    force: bool = False  # edit also where the words are not understood (editor/understanding.py)
    more: int = 0  # steps up from the natural strength, or down where it is negative; not with a number as strength

    def __post_init__(self):
        if self.mask_mode not in MASK_MODES:
            raise ValueError(f"mask_mode is {quoted(self.mask_mode)}; allowed: {' and '.join(MASK_MODES)}")
