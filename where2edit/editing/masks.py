"""From attention to the mask M that blends: threshold and blur; and how masks are resized and grown.

Legend: B batch, r blend resolution, H x W cells or pixels. Attention and masks are [B,1,r,r] in [0,1].
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.bounds import Bounds
from where2edit.core.config import check_values
from where2edit.editing.seams.base import SeamConfig


@dataclass(frozen=True)
class BlendingConfig:
    """The `blending` section: how attention becomes a mask; the defaults are the released settings."""

    # Attention below becomes 0; 0 keeps all of it.
    threshold: Annotated[float, Bounds(0, 1, note="0.8 in the released code")] = 0.8
    straight_through: bool = True  # the threshold passes the gradient as if it were not there
    binary: bool = False  # True: attention at or above the threshold becomes 1 instead of keeping its value
    # Width of the Gaussian in mask cells, odd; 1 means none.
    blur: Annotated[int, Bounds(1, 511, note="odd, 1 for no blur")] = 5
    sigma: Annotated[float, Bounds(0, 1000, above=True)] = 1.1  # its standard deviation in mask cells
    seam: SeamConfig = field(default_factory=SeamConfig)  # how the edited canvas meets the source's at the mask's rim
    # An edit does not make skin lighter (skin_light.py, ours); needs a preview head at the blend site and
    # regions.by_parts.
    keep_skin_light: bool = False

    def __post_init__(self):
        check_values(self, "blending")
        if self.blur % 2 == 0:
            raise ValueError(f"blending.blur is {self.blur}; give an odd number of cells, 1 for no blur")


def make_mask(attention: Tensor, config: BlendingConfig, threshold: float | None = None) -> Tensor:
    """M = blur(threshold(a)): attention, as a rule averaged over regions (a-bar of Eq. 3) -> the mask that blends.

    `threshold` replaces the config's. Raises ValueError for one outside [0,1] and for a blur too wide for the mask.
    """
    if threshold is not None:
        config = replace(config, threshold=threshold)
    return blur_mask(threshold_mask(attention, config), config)


def threshold_mask(attention: Tensor, config: BlendingConfig) -> Tensor:
    """Attention with everything below the threshold at 0.

    With `straight_through` the gradient passes unchanged everywhere, so that a region below the threshold can rise
    above it again.
    """
    on = attention >= config.threshold
    hard = on.to(attention.dtype) if config.binary else torch.where(on, attention, 0)
    # attention - attention.detach() is exactly 0: it carries the gradient and no value.
    return hard.detach() + (attention - attention.detach()) if config.straight_through else hard


def blur_mask(mask: Tensor, config: BlendingConfig) -> Tensor:
    """Gaussian blur with reflect padding.

    Computed in float64, so that a mask of ones stays exactly 1 and one of zeros exactly 0 after rounding back. Raises
    ValueError for a blur that is wider than the mask allows.
    """
    reach = config.blur // 2
    if reach == 0:
        return mask
    if reach >= min(mask.shape[2:]):
        size, widest = "x".join(map(str, mask.shape[2:])), 2 * min(mask.shape[2:]) - 1
        raise ValueError(f"blending.blur {config.blur} is too wide for a {size} mask; give at most {widest}")
    at = torch.arange(-reach, reach + 1, device=mask.device, dtype=torch.float64)
    weight = (-0.5 * (at / config.sigma) ** 2).exp()
    weight = weight / weight.sum()
    # The Gaussian is separable: one pass along the rows, one along the columns.
    padded = F.pad(mask.double(), (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, weight.view(1, 1, 1, -1)), weight.view(1, 1, -1, 1)).to(mask.dtype)


def resize_mask(mask: Tensor, size: int | tuple[int, ...]) -> Tensor:
    """Nearest-neighbour resize to rows and columns, or to a square; the mask itself where it has that size."""
    size = (size, size) if isinstance(size, int) else tuple(size)
    return mask if mask.shape[2:] == size else F.interpolate(mask, size=size, mode="nearest")


def grow(active: Tensor, pixels: int) -> Tensor:
    """`active` [B,1,H,W] in {0,1} grown by `pixels` to every side (a square neighbourhood), exactly."""
    return grow_along(grow_along(active, pixels, 2), pixels, 3)


def grow_along(active: Tensor, pixels: int, dim: int) -> Tensor:
    """`active` [B,1,H,W] in {0,1} grown by `pixels` to both sides, along the columns (2) or the rows (3).

    A pixel is on where the window of 2*pixels + 1 around it holds any active one. The count is a difference of two
    running sums, so that the cost does not depend on `pixels`; sums of whole numbers are exact in float32.
    """
    if not pixels:
        return active
    around = (pixels + 1, pixels)
    total = F.pad(active, (0, 0, *around) if dim == 2 else around).cumsum(dim)
    size = active.shape[dim]
    return (total.narrow(dim, 2 * pixels + 1, size) > total.narrow(dim, 0, size)).to(active)
