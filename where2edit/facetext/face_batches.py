"""Training batches for networks that read faces: CelebA, altered faces, augmentation, and weights that break
correlations.

Legend: B pictures, C concepts (data.phrases), G = 5 groups: Male x Young, and unknown. Pictures are [B,3,s,s] in
[-1,1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.facetext.alter import alter
from where2edit.facetext.celeba import ATTRIBUTES
from where2edit.facetext.packed import Faces
from where2edit.facetext.phrases import ADDED_HAIR_COLOURS, CONCEPTS, INDEX
from where2edit.training.recolouring import LIPS_LAB

UNKNOWN_GROUP = 4
GROUPS = 5


def celeba_truth(values: Tensor) -> Tensor:
    """Attribute values uint8 [N,40] -> truth int64 [N,C]: 1, 0 or -1 for unknown.

    What the alterations add is known of a photo only where an attribute excludes it.
    """
    truth = torch.full((len(values), len(CONCEPTS)), -1)
    truth[:, : len(ATTRIBUTES)] = values.long()
    column = {name: values[:, i].bool() for i, name in enumerate(ATTRIBUTES)}
    natural = column["Black_Hair"] | column["Blond_Hair"] | column["Gray_Hair"]
    for name in ADDED_HAIR_COLOURS:
        often_natural = name in ("Red_Hair", "Orange_Hair")
        truth[natural if often_natural else slice(None), INDEX[name]] = 0
    for name in LIPS_LAB:
        truth[~column["Wearing_Lipstick"], INDEX[name]] = 0
    truth[column["Pale_Skin"], INDEX["Tanned_Skin"]] = 0
    truth[column["Smiling"], INDEX["Sad"]] = 0
    return truth


def generated_truth(count: int) -> Tensor:
    """Truth of unaltered generated faces: nothing is known but that no hair is purple, blue, green or pink."""
    truth = torch.full((count, len(CONCEPTS)), -1)
    for name in ADDED_HAIR_COLOURS:
        if name not in ("Red_Hair", "Orange_Hair"):
            truth[:, INDEX[name]] = 0
    return truth


def group(truth: Tensor) -> Tensor:
    """The group [B] of each row of truth [B,C]."""
    male, young = truth[:, INDEX["Male"]], truth[:, INDEX["Young"]]
    return torch.where((male < 0) | (young < 0), UNKNOWN_GROUP, 2 * male + young)


class Balance:
    """Weights that make both sides of each concept weigh the same, in part within each group, from running counts.

    `within` is the share of the weight that is balanced inside Male x Young: 0 balances over all faces only. A group
    counts by the harmonic mean of its two sides, so that one without examples of both says nothing about the contrast.
    """

    def __init__(self, within: float, decay: float = 0.98):
        self.within, self.decay = torch.full((len(CONCEPTS), 1, 1), within), decay
        self.counts = torch.zeros(len(CONCEPTS), 2, GROUPS)
        self.steps = 0

    def inside(self, names: Sequence[str], within: float) -> None:
        """Give these concepts another share of weight inside Male x Young."""
        self.within[[INDEX[name] for name in names]] = within

    def update(self, truth: Tensor) -> None:
        """Count one batch of truth [B,C]."""
        groups = F.one_hot(group(truth), GROUPS).float()
        sides = torch.stack([(truth == side).float() for side in (0, 1)], 2)
        self.counts.mul_(self.decay).add_((1 - self.decay) * torch.einsum("bcs,bg->csg", sides, groups).cpu())
        self.steps += 1

    def weights(self, truth: Tensor) -> Tensor:
        """Weight of every known entry of truth [B,C], 0 where unknown; a concept's weights sum to 1 on average."""
        counts = self.counts / (1 - self.decay ** max(self.steps, 1)) + 1e-3
        overall = 0.5 / counts.sum(2, keepdim=True).expand_as(counts)
        both = counts.prod(1) / counts.sum(1)
        share = both / both.sum(1, keepdim=True)
        table = (1 - self.within) * overall + self.within * 0.5 * share[:, None] / counts
        # Sex and age are what the groups are made of: inside a group there is no contrast to balance.
        for name in ("Male", "Young"):
            table[INDEX[name]] = overall[INDEX[name]]
        table = table.to(truth.device)
        concepts = torch.arange(truth.shape[1], device=truth.device)
        chosen = table[concepts, truth.clamp_min(0), group(truth)[:, None]]
        return torch.where(truth < 0, torch.zeros_like(chosen), chosen)


@dataclass(frozen=True)
class Mix:
    """How a batch is put together."""

    batch: int = 64  # pictures a step
    altered: int = 20  # of them, faces with a label map that are altered
    rare: float = 0.5  # share of the other faces drawn so that every attribute comes up equally often


class FaceBatches:
    """Draws (pictures, truth) for a step; the same seed and step always give the same batch."""

    def __init__(self, photos: Tensor, values: Tensor, parsed: Faces, generated: Faces, mix: Mix, seed: int):
        """photos uint8 [N,3,s,s] with values [N,40]; `parsed` are some of them with label maps, ids their row in
        photos.
        """
        self.photos, self.mix, self.seed = photos, mix, seed
        self.photo_truth = celeba_truth(values)
        self.parsed, self.generated = parsed, generated
        self.altered_truth = torch.cat([self.photo_truth[parsed.ids], generated_truth(len(generated))])
        present = values.float()
        per_attribute = (present / present.sum(0).clamp_min(1)).sum(1)
        even = torch.full((len(values),), 1 / len(values))
        self.odds = mix.rare * per_attribute / per_attribute.sum() + (1 - mix.rare) * even

    def __call__(self, step: int, size: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Pictures [B,3,size,size] in [-1,1] and truth [B,C] of one step."""
        draw = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        rows = torch.multinomial(self.odds, self.mix.batch - self.mix.altered, True, generator=draw)
        plain, plain_truth = self.photos[rows].to(device).float() / 255, self.photo_truth[rows].to(device)
        rows = self._altered_rows(draw)
        faces = [self.parsed.take(rows[rows < len(self.parsed)])]
        faces.append(self.generated.take(rows[rows >= len(self.parsed)] - len(self.parsed)))
        images = torch.cat([part.images for part in faces]).to(device).float() / 255
        labels = torch.cat([part.labels for part in faces]).to(device)
        images, truth = alter(images, labels, self.altered_truth[rows].to(device), draw)
        truth = _neutral_is_not_sad(torch.cat([plain_truth, truth]), draw)
        return augment(torch.cat([plain, images]), size, draw) * 2 - 1, truth

    def _altered_rows(self, draw: torch.Generator) -> Tensor:
        """Half of the altered faces are photos, half generated, photos first."""
        half = self.mix.altered // 2
        photos = torch.randint(len(self.parsed), (half,), generator=draw)
        made = torch.randint(len(self.generated), (self.mix.altered - half,), generator=draw)
        return torch.cat([photos, made + len(self.parsed)])


def _neutral_is_not_sad(truth: Tensor, draw: torch.Generator) -> Tensor:
    """A third of the faces that neither smile nor were made sad count as not sad, so that sad means more than
    neutral.
    """
    chance = (torch.rand(len(truth), generator=draw) < 1 / 3).to(truth.device)
    rows = chance & (truth[:, INDEX["Smiling"]] == 0) & (truth[:, INDEX["Sad"]] == -1)
    truth[rows, INDEX["Sad"]] = 0
    return truth


def augment(images: Tensor, size: int, draw: torch.Generator) -> Tensor:
    """What an editor's views do to a face, and more: [B,3,s,s] in [0,1] -> [B,3,size,size] in [0,1]."""
    images = _affine(images, size, draw)
    images = _colour(images, draw)
    images = _some(images, 0.3, draw, lambda x: _low_pass(x, int(torch.randint(36, 80, (), generator=draw))))
    images = _some(images, 0.3, draw, lambda x: x + 0.05 * torch.rand((), generator=draw) * _noise(x, draw))
    return _some(images, 0.25, draw, lambda x: _cut_out(x, draw)).clamp(0, 1)


def _some(images: Tensor, share: float, draw: torch.Generator, change) -> Tensor:
    rows = (torch.rand(len(images), generator=draw) < share).nonzero().flatten().to(images.device)
    return images.index_copy(0, rows, change(images[rows])) if len(rows) else images


def _affine(images: Tensor, size: int, draw: torch.Generator) -> Tensor:
    """Flip half; rotate by up to 12 degrees, scale by up to 12 %, shift by up to 6 %."""
    turn, scale, dx, dy, flip = (2 * torch.rand(5, len(images), generator=draw) - 1).unbind(0)
    angle, scale = turn * math.radians(12), 1 + 0.12 * scale
    side = torch.where(flip > 0, 1.0, -1.0)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    theta = torch.stack(
        [torch.stack([cos * side, -sin, 0.12 * dx], 1), torch.stack([sin * side, cos, 0.12 * dy], 1)], 1
    )
    shape = (len(images), 3, size, size)
    grid = F.affine_grid(theta.to(images.device), shape, align_corners=False)
    # Bilinear sampling at a smaller size would alias, so that the picture is shrunk first.
    if size < images.shape[-1]:
        images = F.interpolate(images, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _colour(images: Tensor, draw: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation by up to 15 %; the hue stays, since colours are what captions name."""
    bright, contrast, saturation = (1 + 0.15 * (2 * torch.rand(3, len(images), 1, 1, 1, generator=draw) - 1)).to(
        images.device
    )
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * contrast + mean * bright
    grey = images.mean(1, keepdim=True)
    return grey + (images - grey) * saturation


def _low_pass(images: Tensor, size: int) -> Tensor:
    small = F.interpolate(images, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(small, images.shape[-2:], mode="bilinear", align_corners=False)


def _noise(images: Tensor, draw: torch.Generator) -> Tensor:
    return torch.randn(images.shape, generator=draw).to(images)


def _cut_out(images: Tensor, draw: torch.Generator) -> Tensor:
    """A grey box of a fifth to a third of the width at a random place."""
    size = images.shape[-1]
    box = int(size * (0.2 + 0.13 * torch.rand((), generator=draw)))
    corner = torch.randint(0, size - box, (2, len(images)), generator=draw)
    line = torch.arange(size)
    inside = [(line >= c[:, None]) & (line < c[:, None] + box) for c in corner]
    hole = (inside[0][:, :, None] & inside[1][:, None, :])[:, None].to(images.device)
    return torch.where(hole, images.mean(), images)
