"""The colours that are fitted before training: which parts of a face change, and how.

Legend: s pixels of a picture. Pictures to recolour are [B,3,s,s] in [0,1]; Lab colours are (L from 0 to 100, a, b).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from where2edit.ops.colour import rgb_to_lab
from where2edit.training.recolouring import HAIR_LAB, LIPS_LAB, recolour, tint

LENGTH_WEIGHT = 0.0002  # of the squared length of a shift, which keeps it near the colours that the generator knows
DARKEST = 0.01  # of RGB in [0,1]: below it Lab is too steep for a gradient


@dataclass(frozen=True)
class MeanTowards:
    """Recolouring that brings the mean Lab colour towards `colour`: chroma and lightness by a share of the way each."""

    colour: tuple[float, float, float]
    chroma: float
    lightness: float

    def __call__(self, images: Tensor, mask: Tensor) -> Tensor:
        target, amount, lift = (images.new_tensor([x]) for x in (self.colour, self.chroma, self.lightness))
        return recolour(images, mask, target, amount, lift)


@dataclass(frozen=True)
class LabShift:
    """Recolouring that adds `shift` to the Lab colour."""

    shift: tuple[float, float, float]

    def __call__(self, images: Tensor, mask: Tensor) -> Tensor:
        return tint(images, mask, images.new_tensor([self.shift]))


@dataclass(frozen=True)
class ColourTarget:
    """Parts of a face and their recolouring: images [B,3,s,s] and a mask [B,1,s,s] -> recoloured images.

    `shrinks`: whether the source's own coordinates may be shrunk, so that black and blond hair end in nearly the same
    colour; shrunk skin becomes another face's. `fades`: whether it fades out towards the edge of the parts.
    `length_weight`: of the squared Mahalanobis length of the shift.
    """

    parts: tuple[str, ...]
    recolouring: Callable[[Tensor, Tensor], Tensor]
    shrinks: bool = False
    fades: bool = False
    length_weight: float = LENGTH_WEIGHT


# How far the mean colour of hair goes towards HAIR_LAB: (chroma, lightness). Dyes keep the lightness of each strand
# where the colour exists in light and dark; natural colours are told by their lightness.
HAIR_SHARES = {
    "Purple_Hair": (0.8, 0.2), "Blue_Hair": (0.8, 0.2), "Green_Hair": (0.8, 0.3), "Red_Hair": (0.85, 0.4),
    "Pink_Hair": (0.85, 0.6), "Orange_Hair": (0.85, 0.6), "Blond_Hair": (0.9, 0.8), "Black_Hair": (0.9, 0.85),
    "Brown_Hair": (0.9, 0.8), "Gray_Hair": (0.9, 0.7),
}  # fmt: skip
SKIN = ("skin", "nose", "ears", "neck")
COLOURS = {
    name: ColourTarget(("hair",), MeanTowards(HAIR_LAB[name], *shares), shrinks=True)
    for name, shares in HAIR_SHARES.items()
}
# Lips keep most of their lightness: dark lips look sad.
COLOURS |= {name: ColourTarget(("lips",), MeanTowards(colour, 0.95, 0.1)) for name, colour in LIPS_LAB.items()}
COLOURS |= {
    "Wearing_Lipstick": COLOURS["Red_Lips"],
    "Rosy_Cheeks": ColourTarget(("apples",), LabShift((-2, 12, 3)), fades=True),
    "Tanned_Skin": ColourTarget(SKIN, LabShift((-13, 5, 10))),
    "Pale_Skin": ColourTarget(SKIN, LabShift((9, -4, -8))),
}


def lab(images: Tensor) -> Tensor:
    """Images [B,3,h,w] in [-1,1] -> CIE Lab; black is lifted to DARKEST."""
    return rgb_to_lab(((images + 1) / 2).clamp(DARKEST, 1))
