"""Training batches for facetext and the judge: photos, altered photos and altered generated faces, augmented.

Legend: B pictures, N photos, C concepts (facetext/phrases.py). Pictures are [B,3,s,s] in [-1,1].
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.core import distributed
from where2edit.core.distributed import step_seed
from where2edit.facetext import celeba
from where2edit.facetext.alterations import alter
from where2edit.facetext.augmentation import augment
from where2edit.facetext.config import EncoderConfig, Mix
from where2edit.facetext.packed import Faces
from where2edit.facetext.truth import celeba_truth, generated_truth, neutral_is_not_sad


class FaceBatches:
    """Draws (pictures, truth) for a step; the same seed and step always give the same batch."""

    def __init__(self, photos: Tensor, values: Tensor, parsed: Faces, generated: Faces, mix: Mix, seed: int):
        """photos uint8 [N,3,s,s] with values uint8 [N,40].

        `parsed` are some of the photos with label maps (their ids are rows of `photos`), `generated` other faces with
        label maps; both can be altered.
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
        draw = torch.Generator().manual_seed(step_seed(self.seed, step))
        # Photos as they are, rare attributes more often than they occur.
        rows = torch.multinomial(self.odds, self.mix.batch - self.mix.altered, True, generator=draw)
        plain, plain_truth = self.photos[rows].to(device).float() / 255, self.photo_truth[rows].to(device)
        # Faces with a label map, altered.
        rows = self._altered_rows(draw)
        faces = [self.parsed.take(rows[rows < len(self.parsed)])]
        faces.append(self.generated.take(rows[rows >= len(self.parsed)] - len(self.parsed)))
        images = torch.cat([part.images for part in faces]).to(device).float() / 255
        labels = torch.cat([part.labels for part in faces]).to(device)
        images, truth = alter(images, labels, self.altered_truth[rows].to(device), draw)
        # All of them, augmented.
        truth = neutral_is_not_sad(torch.cat([plain_truth, truth]), draw)
        return augment(torch.cat([plain, images]), size, draw) * 2 - 1, truth

    def _altered_rows(self, draw: torch.Generator) -> Tensor:
        """Row numbers of a step's altered faces, half of them photos and half generated, photos first."""
        half = self.mix.altered // 2
        photos = torch.randint(len(self.parsed), (half,), generator=draw)
        made = torch.randint(len(self.generated), (self.mix.altered - half,), generator=draw)
        return torch.cat([photos, made + len(self.parsed)])


def training_batches(
    config: EncoderConfig, photos: Tensor, table: celeba.AttributeTable, parsed: Faces, generated: Faces
) -> FaceBatches:
    """The batches of a run: `photos` uint8 [N,3,s,s] are all rows of the table, of which the training rows are drawn.

    `parsed.ids` are row numbers of the table. Where several processes train, each draws its share of a batch.
    """
    rows = celeba.training_rows(table)
    place = torch.full((len(table.names),), -1)
    place[rows] = torch.arange(len(rows))
    parsed = parsed.take(place[parsed.ids] >= 0)  # faces of an earlier run may be of pictures that are damaged now
    parsed = Faces(parsed.images, parsed.labels, place[parsed.ids])
    mix = Mix(config.mix.batch // distributed.world(), config.mix.altered // distributed.world(), config.mix.rare)
    return FaceBatches(photos[rows], table.values[rows], parsed, generated, mix, config.schedule.seed)
