"""The losses of facetext (over captions) and of the judge (over concepts), and adversarial pictures for both.

A loss is called as `loss(net, images, truth, step) -> scalar`.
Legend: B pictures [B,3,s,s] in [-1,1], K captions, C concepts; truth [B,C] is 1, 0 or -1 for unknown.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.core.distributed import step_seed
from where2edit.facetext.balance import Balance
from where2edit.facetext.caption_bank import CaptionBank
from where2edit.facetext.config import EncoderConfig
from where2edit.facetext.phrases import CONCEPTS
from where2edit.text_image.facetext import Towers

CAPTION_STREAM = 500_000  # added to the step where captions are drawn, so that they share no seed with the pictures
ENOUGH = 3  # pictures of a batch that must fit a composite caption for it to have its full weight


class CaptionLoss(nn.Module):
    """Sigmoid loss over the matrix of pictures and captions (as SigLIP's); both sides of a caption weigh the same."""

    def __init__(self, bank: CaptionBank, balance: Balance, config: EncoderConfig):
        super().__init__()
        self.bank, self.balance, self.config = bank, balance, config

    def draw(self, step: int) -> Tensor:
        """The caption numbers of one step."""
        draw = torch.Generator().manual_seed(step_seed(self.config.schedule.seed, CAPTION_STREAM + step))
        return self.bank.sample(self.config.captions, self.config.affirmed, draw, self._odds(step))

    def _odds(self, step: int) -> Tensor | None:
        """How often each concept comes up while a run refines; None for all alike."""
        refine = self.config.schedule.refine
        if not refine.at(step):
            return None
        return torch.tensor([refine.times if concept.name in refine.concepts else 1.0 for concept in CONCEPTS])

    def forward(self, towers: Towers, images: Tensor, truth: Tensor, step: int) -> Tensor:
        """Mean over captions of the weighted cross entropies of all pictures with them."""
        rows = self.draw(step)
        said = self.bank.truth(rows, truth)
        text = towers.text_head(noisy(self.bank.features[rows].to(images.device)))
        logits = towers.log_scale.exp() * towers.image_tower.encode(images) @ text.T + towers.bias
        loss = F.binary_cross_entropy_with_logits(logits, said.clamp_min(0).to(logits.dtype), reduction="none")
        return (loss * self._weights(rows, truth, said)).sum() / len(rows)

    def _weights(self, rows: Tensor, truth: Tensor, said: Tensor) -> Tensor:
        """Captions of one concept take that concept's weights; composites are balanced within the batch."""
        concepts = self.bank.concepts[rows].to(truth.device)
        single = self.balance.weights(truth)[:, concepts[:, 0]]
        sides = [(said == side).float() for side in (0, 1)]
        counts = [side.sum(0) for side in sides]
        # A caption that few pictures of the batch fit would put all its weight on them.
        both = (counts[1] / ENOUGH).clamp_max(1) * (counts[0] > 0)
        joint = sum(0.5 * side / count.clamp_min(1) for side, count in zip(sides, counts, strict=True)) * both
        return torch.where(concepts[:, 1] < 0, single, joint)


def concept_loss(balance: Balance) -> Callable[[nn.Module, Tensor, Tensor, int], Tensor]:
    """Balanced cross entropy of a network with one logit per concept: the judge's loss."""

    def loss(net: nn.Module, images: Tensor, truth: Tensor, step: int) -> Tensor:
        logits = net.encode(images).float()
        each = F.binary_cross_entropy_with_logits(logits, truth.clamp_min(0).to(logits.dtype), reduction="none")
        return (each * balance.weights(truth)).sum() / truth.shape[1]

    return loss


def noisy(features: Tensor, amount: float = 0.03) -> Tensor:
    """Text features with noise, so that the head maps the neighbourhood of a phrase, not the phrase alone."""
    return features + amount * torch.randn_like(features)


def attacked(images: Tensor, size: float, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """The pictures with the first half perturbed so that the loss rises: one signed gradient step from a random start.

    size: largest change of a number of a picture, whose range is [-1,1].
    """
    half = len(images) // 2
    start = images[:half] + size * (2 * torch.rand_like(images[:half]) - 1)
    start.requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss(torch.cat([start, images[half:]])), start)
    moved = images[:half] + (start - images[:half] + size * gradient.sign()).clamp(-size, size)
    return torch.cat([moved.detach().clamp(-1, 1), images[half:]])
