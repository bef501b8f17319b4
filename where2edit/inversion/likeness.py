"""How far a picture is from the photo that it is to show: LPIPS and squared differences, at several sizes.

Legend: s pixels a side of a picture, R of the photo. Images are [1,3,s,s] in [-1,1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.backbones.arcface import ArcFace
from where2edit.backbones.vgg import LPIPS
from where2edit.core.devices import resolve_dtype

SQUARED, IDENTITY = 4.0, 0.3  # weights of the mean squared difference and of ArcFace's cosine beside LPIPS
LARGEST = 256  # pixels at which pictures are compared; larger ones are reduced


class Likeness:
    """The distance to one photo [1,3,R,R]; what the networks see of it is kept."""

    def __init__(self, lpips: LPIPS, arcface: ArcFace, photo: Tensor):
        self.lpips, self.arcface, self.photo = lpips, arcface, photo
        with torch.no_grad():
            self._identity = arcface(reduced(photo, LARGEST))
        self._seen: dict[int, tuple[Tensor, list[Tensor]]] = {}
        self._fast = resolve_dtype("auto", photo.device) == "bfloat16"

    def __call__(self, picture: Tensor) -> Tensor:
        """The distance of a picture of any size, a number >= 0; differentiable."""
        if picture.shape[-1] > LARGEST:
            picture = reduced(picture, LARGEST)
        aim, features = self._aim(picture.shape[-1])
        distance = self.lpips.between(self._features(picture), features)
        unlike = 1 - (self.arcface(picture) * self._identity).sum()
        return sum(layer.mean() for layer in distance) + SQUARED * (picture - aim).square().mean() + IDENTITY * unlike

    def _aim(self, size: int) -> tuple[Tensor, list[Tensor]]:
        """The photo at `size` pixels, and LPIPS's features of it."""
        if size not in self._seen:
            with torch.no_grad():
                aim = reduced(self.photo, size)
                self._seen[size] = aim, self._features(aim)
        return self._seen[size]

    def _features(self, picture: Tensor) -> list[Tensor]:
        """LPIPS's features in float32, computed in bfloat16 where the device is fast at it."""
        with torch.autocast(picture.device.type, torch.bfloat16, enabled=self._fast):
            found = self.lpips.features(picture)
        return [x.float() for x in found]


def reduced(image: Tensor, size: int) -> Tensor:
    """An image at `size` pixels, each the mean of those that it covers."""
    return image if image.shape[-1] == size else F.interpolate(image, size=(size, size), mode="area")
