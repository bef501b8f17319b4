"""What tests of inversions share: small networks through which a fit looks."""

import torch
from torch.nn import functional as F

from where2edit.inversion import inverter


class Squares(torch.nn.Module):
    """In place of LPIPS: squared differences."""

    def features(self, images):
        return [images]

    def between(self, a, b):
        return [(x - y).square() for x, y in zip(a, b, strict=True)]

    def forward(self, a, b):
        return (a - b).square().mean((1, 2, 3))


class MeanColours(torch.nn.Module):
    """In place of ArcFace: the mean colours of the quarters of a picture, at unit length."""

    def forward(self, images):
        return F.normalize(F.adaptive_avg_pool2d(images, 2).flatten(1) + 1e-3)


def use_small_networks(patch):
    """Put them in the place of LPIPS and ArcFace."""
    patch.setattr(inverter.LPIPS, "load", lambda *_: Squares())
    patch.setattr(inverter.ArcFace, "load", lambda *_: MeanColours())
