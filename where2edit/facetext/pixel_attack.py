"""How far an encoder's score can be raised by invisible changes of pixels, a figure of facetext's report.

Legend: B images of a batch, H x W pixels; N validation photos of s x s pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.facetext.validation_photos import ValidationPhotos


def views(images: Tensor, draw: torch.Generator) -> Tensor:
    """Views of images [B,3,H,W] that an attack has not seen: a small rotation and shift, shrunk to 64 pixels."""
    angle = (torch.rand(len(images), generator=draw) - 0.5) * 0.2
    cos, sin, shift = angle.cos(), angle.sin(), (torch.rand(len(images), generator=draw) - 0.5) * 0.08
    theta = torch.stack([torch.stack([cos, -sin, shift], 1), torch.stack([sin, cos, shift], 1)], 1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    turned = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return F.interpolate(turned, (64, 64), mode="bilinear", antialias=True, align_corners=False)


def pixel_attack(
    validation: ValidationPhotos, photos: Tensor, count: int = 32, steps: int = 20, seed: int = 7
) -> list[dict]:
    """Optimise the pixels of `count` faces that do not smile for "a smile"; one row for each largest change allowed.

    photos: the validation pictures, uint8 [N,3,s,s]. A row has `levels`, the largest change of a pixel in levels of
    255, and two gains of the cosine: `plain`, as the optimiser sees it, and `views`, in new views of the same pictures.
    A gain of 1 is the difference between the mean scores of smiling and unsmiling faces.
    """
    encoder, draw = validation.encoder, torch.Generator().manual_seed(seed)
    smiling, score = validation.truth("Smiling").bool(), validation.scores(["a smile"])[:, 0]
    worth = float(score[smiling].mean() - score[~smiling].mean())
    h = F.normalize(encoder.text(["a smile"]), dim=1)[0]
    start = photos[(~smiling).nonzero().flatten()[:count]].float() / 127.5 - 1

    def cosine(x: Tensor) -> Tensor:
        return F.normalize(encoder.image(x), dim=1) @ h

    with torch.no_grad():
        before, before_views = cosine(start).mean(), cosine(views(start, torch.Generator().manual_seed(seed))).mean()
    rows = []
    for levels in (1, 2, 4, 8):
        limit = levels / 127.5
        moved = start.clone()
        for _ in range(steps):
            moved.requires_grad_(True)
            (gradient,) = torch.autograd.grad(cosine(moved).sum(), moved)
            moved = start + (moved.detach() + limit / 5 * gradient.sign() - start).clamp(-limit, limit)
            moved = moved.clamp(-1, 1)
        with torch.no_grad():
            plain, seen = cosine(moved).mean() - before, cosine(views(moved, draw)).mean() - before_views
        rows.append({"levels": levels, "plain": float(plain) / worth, "views": float(seen) / worth})
    return rows
