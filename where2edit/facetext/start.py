"""The initial weights of facetext's towers: image network, text head and image head.

The image network is ImageNet's. The text head is trained alone to put each concept on a direction (axis) of its own,
and the image head is the ridge regression of the concepts onto these axes.

Legend: C concepts, D embedding width.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.backbones.efficientnet_lite import EfficientNetLite0, calibrate, fuse
from where2edit.facetext.batches import FaceBatches
from where2edit.facetext.caption_bank import CaptionBank
from where2edit.facetext.config import EncoderConfig
from where2edit.facetext.objectives import noisy
from where2edit.facetext.phrases import CONCEPTS
from where2edit.text_image.facetext import ImageTower, TextHead, Towers

# Batches that are drawn before training have negative numbers, so that no step of training sees them again.
CALIBRATION_BATCH, CALIBRATION_BATCHES, HEAD_BATCH = -1, 6, -10
TAUGHT = 192  # captions of either kind in a step of `teach_words`
SHARPNESS = 8  # multiplies the cosines of captions with the axes before the cross entropy


def new_towers(source: FaceBatches, weights: Path | None = None) -> Towers:
    """Towers whose image network is ImageNet's, with batch normalisation measured on faces and fused.

    weights: the file of the image network; None: its asset.
    """
    torch.manual_seed(source.seed)
    towers = Towers()
    tower, net = towers.image_tower, EfficientNetLite0.load(weights)
    images = [tower.normalise(source(CALIBRATION_BATCH - i, tower.size)[0]) for i in range(CALIBRATION_BATCHES)]
    with torch.no_grad():
        calibrate(net, images)
        tower.net = fuse(net).eval()
    return towers


def teach_words(head: TextHead, bank: CaptionBank, seed: int, steps: int = 800, rate: float = 2e-3) -> Tensor:
    """Train the text head alone to put each concept on an axis of its own and its denials opposite; returns axes [C,D].

    The axes are orthogonal unit vectors. A caption of several concepts is taught the sum of their axes. Without this
    both towers start near a saddle point of the loss: all captions have nearly the same embedding, so that no picture
    tells them apart. Orthogonal axes also keep one concept (lipstick) from standing for another (woman).

    bank: the captions and their text features; steps of AdamW at `rate`, which falls to 0 over the second half.
    """
    draw = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(head.outer.out_features, len(CONCEPTS), generator=draw)).Q.T
    head.train()
    sides = torch.stack([-axes, axes], 1)  # [C,2,D]
    head.centre.copy_(bank.features.mean(0))
    optimizer = torch.optim.AdamW(head.parameters(), rate, weight_decay=0.01)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * min(1.0, 2 * (1 - step / steps))
        loss = _word_loss(head, bank, sides, draw)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return axes


def _word_loss(head: TextHead, bank: CaptionBank, sides: Tensor, draw: torch.Generator) -> Tensor:
    """Loss of one draw of captions; `sides` [C,2,D] are the directions of each concept, denied and affirmed."""
    alone, several = (
        kind[torch.randint(len(kind), (TAUGHT,), generator=draw)] for kind in (bank.single, bank.composite)
    )
    # Captions of one concept: the right direction among all 2C, and close to it.
    cosines = head(noisy(bank.features[alone])) @ sides.flatten(0, 1).T
    answer = bank.concepts[alone, 0] * 2 + bank.sides[alone, 0]
    away = 1 - cosines.gather(1, answer[:, None])
    # Captions of several concepts: close to the sum of their directions.
    named = (bank.concepts[several] >= 0)[..., None]
    target = (sides[bank.concepts[several].clamp_min(0), bank.sides[several]] * named).sum(1)
    apart = 1 - F.cosine_similarity(head(noisy(bank.features[several])), target)
    return F.cross_entropy(SHARPNESS * cosines, answer, label_smoothing=0.05) + away.mean() + apart.mean()


@torch.no_grad()
def start_head(tower: ImageTower, source: FaceBatches, axes: Tensor, pictures: int = 7000, ridge: float = 0.5) -> None:
    """Set the image head to the ridge regression of every concept on ImageNet's features, along the concept's axis.

    Both sides of a concept weigh the same in the regression, which has a closed form and replaces hundreds of steps.
    axes [C,D]; pictures: how many are drawn for it; ridge: the penalty, per picture.
    """
    drawn = [source(HEAD_BATCH - i, tower.size) for i in range(pictures // source.mix.batch)]
    features = torch.cat([tower.features(tower.normalise(images)) for images, _ in drawn])
    truth = torch.cat([said for _, said in drawn])
    mean, spread = features.mean(0), features.std(0) + 1e-4
    inputs = F.pad((features - mean) / spread, (0, 1), value=1.0)
    weight, bias = torch.zeros_like(tower.head.weight), torch.zeros_like(tower.head.bias)
    for number, axis in enumerate(axes):
        known = truth[:, number] >= 0
        side = truth[known, number].float()
        if not 0 < side.sum() < len(side):  # pictures of one side or of none say nothing of the axis
            continue
        share = torch.where(side == 1, 0.5 / side.mean(), 0.5 / (1 - side.mean()))
        weighed = (inputs[known] * share[:, None]).T
        square = weighed @ inputs[known] + ridge * len(side) * torch.eye(inputs.shape[1])
        solution = torch.linalg.solve(square, weighed @ (2 * side - 1))
        weight += axis[:, None] * solution[:-1] / spread
        bias += axis * (solution[-1] - solution[:-1] @ (mean / spread))
    tower.head.weight.copy_(weight)
    tower.head.bias.copy_(bias)


def prepared_towers(source: FaceBatches, bank: CaptionBank, config: EncoderConfig, weights: Path | None) -> Towers:
    """Towers with their initial weights, the first blocks of the image network frozen.

    With `weights` they are the trained ones of that file, for the refining steps alone.
    """
    if weights:
        towers = Towers.load(weights)
    else:
        towers = new_towers(source)
        start_head(towers.image_tower, source, teach_words(towers.text_head, bank, config.schedule.seed))
    towers.image_tower.net.stem.requires_grad_(False)
    towers.image_tower.net.blocks[: config.frozen_blocks].requires_grad_(False)
    return towers
