"""The guided filter (He et al. 2010): smooths a mask and keeps the edges that a guide image has.

Legend: B batch, H x W pixels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def guided_filter(x: Tensor, guide: Tensor, radius: int, epsilon: float) -> Tensor:
    """x [B,1,H,W] filtered along the edges of a grey guide [B,1,H,W]: the mean of a guide + b over all windows.

    In each window of 2 radius + 1 pixels, a and b are the ridge regression of x on the guide; `epsilon` is the variance
    of the guide below which a window counts as flat. At the border windows hold fewer pixels.
    """
    mean_x, mean_guide = _box(x, radius), _box(guide, radius)
    covariance = _box(x * guide, radius) - mean_x * mean_guide
    variance = _box(guide * guide, radius) - mean_guide * mean_guide
    a = covariance / (variance + epsilon)
    return _box(a, radius) * guide + _box(mean_x - a * mean_guide, radius)


def _box(x: Tensor, radius: int) -> Tensor:
    """The mean over windows of 2 radius + 1 pixels, first along the rows, then along the columns."""
    size = 2 * radius + 1
    x = F.avg_pool2d(x, (1, size), 1, (0, radius), count_include_pad=False)
    return F.avg_pool2d(x, (size, 1), 1, (radius, 0), count_include_pad=False)
