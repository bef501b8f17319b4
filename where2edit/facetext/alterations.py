"""Alterations of a parsed face that make a new caption true: colours of hair, lips, skin, cheeks, eyes; a sad mouth.

Each alteration changes the pictures of some rows of a Draft and writes down what is true of them now. Colours are
shifted in CIE Lab (training/recolouring.py).

Legend: B pictures, s pixels, C concepts, n rows that are altered. Pictures are [B,3,s,s] in [0,1], label maps uint8
[B,s,s], masks [B,1,s,s] in [0,1], Lab is (L 0 ... 100, a, b).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.backbones.face_areas import cheeks, extent, pixel_grid, soft_mask
from where2edit.backbones.face_parsing import region_mask
from where2edit.facetext.phrases import INDEX
from where2edit.ops.colour import rgb_to_lab
from where2edit.training.recolouring import EYES_LAB, HAIR_LAB, LIPS_LAB, recolour, region_colour, tint

LEAST_HAIR = 0.04  # share of the pixels that hair must cover
NATURAL = ("Black_Hair", "Gray_Hair", "Blond_Hair")  # hair colours that differ in lightness more than in hue
BARE = 1 / 3  # share of the altered lips that lose their colour instead of taking one
PALE = 0.5  # share of the altered skins that become pale; the others are tanned
NOT_SAD = 0.25  # share of the altered mouths that are bent upwards
DARK_EYE = 50  # lightness L under which a pixel of the eye counts as iris or pupil


def frown(images: Tensor, labels: Tensor, bend: Tensor) -> Tensor:
    """Pictures with the corners of the mouth warped down and the inner ends of the brows up; negative: the opposite.

    bend [B]: how far, as a share of half the mouth's width. The shift of every pixel is a smooth function of its place
    relative to mouth and brows, and vanishes away from them.
    """
    # Around the mouth: down at its corners, a little up in its middle.
    size = labels.shape[-1]
    across, down = pixel_grid(size, labels.device)
    x, y, width, _ = extent(region_mask(labels, "mouth"))
    u, v = (across - x) / width, (down - y) / width
    move = (u**2 - 0.35) * torch.exp(-((u / 1.5) ** 4) - (v / 0.9) ** 2)
    # Between the brows: up at their inner ends.
    brow_x, brow_y, brow_width, _ = extent(region_mask(labels, "brows"))
    inner = torch.exp(-(((across - brow_x) / (0.45 * brow_width)) ** 2) - ((down - brow_y) / (0.4 * brow_width)) ** 2)
    move = bend.view(-1, 1, 1) * width * (move - 0.35 * inner)
    # Each pixel is read from the place that it comes from.
    grid_x = (across + torch.zeros_like(move)) / (size - 1) * 2 - 1
    grid_y = (down - move) / (size - 1) * 2 - 1
    grid = torch.stack([grid_x, grid_y], 3)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)


@dataclass
class Draft:
    """Pictures [B,3,s,s] with label maps, changed in place by alterations; `truth` [B,C] is 1, 0 or -1 for unknown."""

    images: Tensor
    labels: Tensor
    truth: Tensor

    def set(self, rows: Tensor, **values: int) -> None:
        """Write what is now true of the rows: concept = 1, 0 or -1."""
        for name, value in values.items():
            self.truth[rows, INDEX[name]] = value

    def apply(self, rows: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Replace the pictures of the rows by `change(images, labels)`."""
        self.images[rows] = change(self.images[rows], self.labels[rows])


def _uniform(rows: Tensor, low: float, high: float, draw: torch.Generator) -> Tensor:
    """One number from low to high for each row, on the rows' device."""
    return (low + (high - low) * torch.rand(len(rows), generator=draw)).to(rows.device)


def _palette(rows: Tensor, colours: dict[str, tuple], draw: torch.Generator, spread: float) -> tuple[Tensor, Tensor]:
    """A random colour number [n] and its Lab value [n,3], jittered, for each row."""
    choice = torch.randint(len(colours), (len(rows),), generator=draw)
    lab = torch.tensor(list(colours.values()), dtype=torch.float32)[choice]
    return choice.to(rows.device), (lab + spread * torch.randn(lab.shape, generator=draw)).to(rows.device)


def shows_hair(labels: Tensor) -> Tensor:
    """bool [B]: whether enough hair is seen in label maps [B,s,s] for its colour to mean something."""
    return region_mask(labels, "hair").float().mean((1, 2)) > LEAST_HAIR


def alter_hair(draft: Draft, rows: Tensor, draw: torch.Generator, colours: dict[str, tuple] = HAIR_LAB) -> None:
    """Recolour hair; all hair colours become known. Bald heads and covered ones are left as they are."""
    rows = rows[shows_hair(draft.labels[rows])]
    choice, target = _palette(rows, colours, draw, 2.5)
    amount, lift = _uniform(rows, 0.65, 1.1, draw), _uniform(rows, 0.35, 0.9, draw)
    natural = torch.tensor([name in NATURAL for name in colours])[choice.cpu()]
    lift = torch.where(natural.to(rows.device), lift.clamp_min(0.75), lift)
    draft.apply(rows, lambda images, labels: recolour(images, soft_mask(labels, "hair"), target, amount, lift))
    draft.set(rows, **dict.fromkeys(HAIR_LAB, 0))
    for number, name in enumerate(colours):
        draft.set(rows[choice == number], **{name: 1})


def alter_lips(draft: Draft, rows: Tensor, draw: torch.Generator) -> None:
    """Put lipstick on, or (one in three) take it off."""
    bare = torch.rand(len(rows), generator=draw) < BARE
    _colour_lips(draft, rows[~bare.to(rows.device)], draw)
    _bare_lips(draft, rows[bare.to(rows.device)], draw)


def _colour_lips(draft: Draft, rows: Tensor, draw: torch.Generator) -> None:
    """Put lipstick of a random colour on."""
    choice, target = _palette(rows, LIPS_LAB, draw, 4.0)
    amount, lift = _uniform(rows, 0.55, 1.0, draw), _uniform(rows, 0.3, 0.8, draw)
    draft.apply(rows, lambda images, labels: recolour(images, soft_mask(labels, "lips"), target, amount, lift))
    draft.set(rows, Wearing_Lipstick=1, **dict.fromkeys(LIPS_LAB, 0))
    for number, name in enumerate(LIPS_LAB):
        draft.set(rows[choice == number], **{name: 1})


def _bare_lips(draft: Draft, rows: Tensor, draw: torch.Generator) -> None:
    """Bring the lips towards the skin's colour, a little darker and redder, which takes lipstick off."""
    amount = _uniform(rows, 0.7, 1.0, draw)

    def fade(images: Tensor, labels: Tensor) -> Tensor:
        skin = region_colour(images, soft_mask(labels, "skin")) + images.new_tensor([-8.0, 8.0, 1.0])
        return recolour(images, soft_mask(labels, "lips"), skin, amount, amount)

    draft.apply(rows, fade)
    draft.set(rows, Wearing_Lipstick=0, Heavy_Makeup=-1, **dict.fromkeys(LIPS_LAB, 0))


def alter_skin(draft: Draft, rows: Tensor, draw: torch.Generator) -> None:
    """Tan the skin, or (one in two) make it pale."""
    tan = (torch.rand(len(rows), generator=draw) < 1 - PALE).to(rows.device)
    amount = _uniform(rows, 0.6, 1.2, draw)
    shift = torch.where(tan[:, None], amount.new_tensor([-16.0, 5.0, 10.0]), amount.new_tensor([11.0, -5.0, -9.0]))
    regions = ("skin", "nose", "ears", "neck")
    draft.apply(rows, lambda images, labels: tint(images, soft_mask(labels, *regions), amount[:, None] * shift))
    draft.set(rows[tan], Tanned_Skin=1, Pale_Skin=0)
    draft.set(rows[~tan], Tanned_Skin=0, Pale_Skin=1)


def alter_cheeks(draft: Draft, rows: Tensor, draw: torch.Generator) -> None:
    """Redden the cheeks."""
    amount = _uniform(rows, 0.7, 1.3, draw)
    shift = amount[:, None] * amount.new_tensor([-3.0, 17.0, 5.0])
    draft.apply(rows, lambda images, labels: tint(images, cheeks(labels), shift))
    draft.set(rows, Rosy_Cheeks=1)


def alter_eyes(draft: Draft, rows: Tensor, draw: torch.Generator) -> None:
    """Recolour what is dark inside the eyes."""
    choice, target = _palette(rows, EYES_LAB, draw, 3.0)

    def iris(images: Tensor, labels: Tensor) -> Tensor:
        mask = soft_mask(labels, "eyes") * torch.sigmoid((DARK_EYE - rgb_to_lab(images)[:, :1]) / 6)
        return recolour(images, mask, target, _uniform(rows, 0.7, 1.0, draw), _uniform(rows, 0.2, 0.6, draw))

    draft.apply(rows, iris)
    draft.set(rows, **dict.fromkeys(EYES_LAB, 0))
    for number, name in enumerate(EYES_LAB):
        draft.set(rows[choice == number], **{name: 1})


def alter_mouth(draft: Draft, rows: Tensor, draw: torch.Generator) -> None:
    """Make faces that do not smile sad; a quarter of them get the opposite bend, which is not sad."""
    truth = draft.truth[:, INDEX["Smiling"]]
    rows = rows[truth[rows] != 1]
    up = (torch.rand(len(rows), generator=draw) < NOT_SAD).to(rows.device)
    bend = _uniform(rows, 0.28, 0.55, draw) * torch.where(up, -0.8, 1.0)
    draft.apply(rows, lambda images, labels: frown(images, labels, bend))
    draft.set(rows[up], Sad=0, Smiling=-1)
    draft.set(rows[~up], Sad=1, Smiling=0)


ALTERATIONS: tuple[tuple[Callable, float], ...] = (
    (alter_hair, 0.5), (alter_lips, 0.3), (alter_skin, 0.22), (alter_cheeks, 0.16), (alter_eyes, 0.16), (alter_mouth,
    0.25),
)  # each with the share of faces that it changes  # fmt: skip


def alter(images: Tensor, labels: Tensor, truth: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random alterations of every kind -> (pictures [B,3,s,s], truth [B,C]) as new tensors.

    labels: uint8 [B,s,s]; truth: int64 [B,C]; draw: a CPU generator.
    """
    draft = Draft(images.clone(), labels, truth.clone())
    for change, share in ALTERATIONS:
        rows = (torch.rand(len(images), generator=draw) < share).nonzero().flatten().to(images.device)
        if len(rows):
            change(draft, rows, draw)
    return draft.images, draft.truth
