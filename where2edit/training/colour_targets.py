"""The colours that are fitted before training: which parts of a face change, how, and the recoloured pictures.

Legend: P colours, r blend resolution, s pixels of a picture. Pictures to recolour are [B,3,s,s] in [0,1]; Lab colours
are (L from 0 to 100, a, b).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.backbones.face_parsing import FaceParser
from where2edit.core.records import Source
from where2edit.editing.region_shares import belonging
from where2edit.methods.base import Method
from where2edit.ops.colour import rgb_to_lab
from where2edit.training.recolouring import HAIR_LAB, LIPS_LAB, cheeks, recolour, tint

LENGTH_WEIGHT = 0.0001  # of the squared length; with a weight of a third of this, hair becomes dots without strands
RECOLOURED_WEIGHT = 3.0  # of the recoloured pixels, beside 1 for all pixels of the part, most of which must stay
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

    `within`: where inside the parts, from labels of face parsing [B,s,s] to a mask; None: all over. `shrinks`: whether
    the source's own coordinates may be shrunk. Hair stays hair, but shrunk skin becomes another face. `length_weight`:
    of the squared Mahalanobis length of the shift.
    """

    parts: tuple[str, ...]
    recolouring: Callable[[Tensor, Tensor], Tensor]
    within: Callable[[Tensor], Tensor] | None = None
    shrinks: bool = False
    length_weight: float = LENGTH_WEIGHT


SKIN = ("skin", "nose", "ears", "neck")
COLOURS = {
    name: ColourTarget(("hair",), MeanTowards(colour, 1, 0.5), shrinks=True) for name, colour in HAIR_LAB.items()
}
# Lips keep their lightness: dark lips look sad.
COLOURS |= {name: ColourTarget(("lips",), MeanTowards(colour, 0.9, 0)) for name, colour in LIPS_LAB.items()}
COLOURS |= {
    # Purple is far from the generator's colours, and the fit does not reach enough red. With a target that is duller
    # and redder than HAIR_LAB's and a heavier penalty on length, hair keeps its strands; the same penalty would keep
    # green hair from turning green.
    "Purple_Hair": ColourTarget(
        ("hair",), MeanTowards((36, 38, -16), 1, 0.5), shrinks=True, length_weight=4 * LENGTH_WEIGHT
    ),
    "Wearing_Lipstick": COLOURS["Red_Lips"],
    "Rosy_Cheeks": ColourTarget(("cheeks", "nose", "jaw"), LabShift((-7, 41, 12)), cheeks),
    "Tanned_Skin": ColourTarget(SKIN, LabShift((-18, 5.5, 11.5))),
    "Pale_Skin": ColourTarget(SKIN, LabShift((14, -6, -12))),
}


def recoloured(
    method: Method, source: Source, labels: Tensor, targets: list[ColourTarget], parser: FaceParser | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Masks, pictures and pixel weights for fitting P targets to one source with region labels [1,r,r].

    Returns masks of the targets' parts [P,1,r,r] in {0,1}, the recoloured pictures in Lab [P,3,s,s], and the weight of
    each pixel [P,1,s,s]. Only targets with `within` need a parser.
    """
    shares, size = method.frozen.regions.shares, source.image.shape[-2:]
    masks = torch.stack([belonging(shares, each.parts)[labels].float() for each in targets])
    parts = F.interpolate(masks, size, mode="bilinear", align_corners=False)  # [P,1,r,r] -> [P,1,s,s]
    where = parts.clone()
    for number, each in enumerate(targets):
        if each.within:
            where[number] *= F.interpolate(each.within(parser.labels(source.image)), size, mode="area")[0]
    before = (source.image + 1) / 2
    pictures = [lab(2 * each.recolouring(before, here[None]) - 1) for each, here in zip(targets, where, strict=True)]
    return masks, torch.cat(pictures), parts + RECOLOURED_WEIGHT * where


def lab(images: Tensor) -> Tensor:
    """Images [B,3,s,s] in [-1,1] -> CIE Lab; black is lifted to DARKEST."""
    return rgb_to_lab(((images + 1) / 2).clamp(DARKEST, 1))
