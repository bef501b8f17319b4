"""What every backbone shares: checked input, resizing and a normalisation that travels with the network.

Legend: B batch, C channels, H and W pixels. Images are [B,3,H,W] in [-1,1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.files.tensor_checks import fitted

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def check_images(images: Tensor, reader: str) -> None:
    """Raise ValueError unless `images` is a float tensor [B,3,H,W]; `reader` stands in the message."""
    if not torch.is_tensor(images) or images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        got = f"{images.dtype} {list(images.shape)}" if torch.is_tensor(images) else type(images).__name__
        raise ValueError(f"{reader} reads float images [B,3,H,W] in [-1,1], got {got}")


def resize(images: Tensor, size: int, antialias: bool = True) -> Tensor:
    """Bilinear [B,C,H,W] -> [B,C,size,size]; images that have the size already pass through unchanged."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=antialias)


def area_resize(images: Tensor, size: int) -> Tensor:
    """Area resize [B,C,H,W] -> [B,C,size,size]: output i is the mean over the inputs [i*s, (i+1)*s), s = H/size.

    A pixel that is cut by an edge counts by its share. This equals enlarging x size by nearest neighbour and average
    pooling, without the large image; `F.interpolate(mode="area")` weighs cut pixels as whole ones.
    """
    rows, columns = (_area_weights(n, size, images) for n in images.shape[-2:])
    return rows @ images @ columns.T


def _area_weights(inputs: int, outputs: int, like: Tensor) -> Tensor:
    """[outputs,inputs] shares of each input pixel in each output pixel; rows sum to 1."""
    edges = torch.arange(outputs + 1, dtype=torch.float64) * (inputs / outputs)
    pixels = torch.arange(inputs, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    return (overlap.clamp(min=0) * (outputs / inputs)).to(like)


class Normalise(nn.Module):
    """Images in [-1,1] -> (x01 - mean) / std per channel, with mean and std given for x01 in [0,1]."""

    def __init__(self, mean: tuple[float, ...] = IMAGENET_MEAN, std: tuple[float, ...] = IMAGENET_STD):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1) * 2 - 1, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1) * 2, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


def load_strictly(net: nn.Module, state: dict[str, Tensor], origin: str) -> None:
    """Copy `state` into `net`. Raises ValueError as `tensor_checks.fitted` does."""
    net.load_state_dict(fitted(state, net.state_dict(), origin, type(net).__name__), assign=_is_empty(net))


def _is_empty(net: nn.Module) -> bool:
    """True for a network that was built without memory of its own, which the tensors of a file then are."""
    return any(value.is_meta for value in net.state_dict().values())
