"""Average attention over regions by scatter (Clus in Eq. 3), with a loop as its reference twin.

Legend: B batch, H x W pixels, k regions. Sums are kept in float64: every float32 in [2^-17,1] is a multiple of 2^-40,
so that sums of up to 4096 of them are exact in any order, and both twins (and every device) give the same bytes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.ops.extension import Impl, check_impl


def region_averages(a: Tensor, labels: Tensor, num_regions: int, impl: Impl = "auto") -> tuple[Tensor, Tensor]:
    """The mean attention of each region and whether the region has pixels: what the region hinge of Eq. 5 reads.

    a: [B,1,H,W]; labels: [B,H,W] in [0,num_regions). Returns (mean [B,k] in the dtype of `a`, valid [B,k] bool).
    An empty region has mean 0, valid False and no gradient; callers leave it out. Raises ValueError as `region_mean`.
    """
    mean, valid = _averages(a, labels, num_regions, impl)
    return mean.to(a.dtype), valid


def region_mean(a: Tensor, labels: Tensor, num_regions: int, impl: Impl = "auto") -> Tensor:
    """Replace each pixel's attention by the mean over its region (Clus in Eq. 3).

    a: [B,1,H,W] in [0,1]; labels: int64 [B,H,W] in [0,num_regions) -> [B,1,H,W]. A region without pixels changes
    nothing. Raises ValueError for other shapes, another dtype of the labels and labels out of range.
    """
    mean, _ = _averages(a, labels, num_regions, impl)
    flat = labels.flatten(1)
    spread = _spread_by_loop(mean, flat) if impl == "reference" else mean.gather(1, flat)
    return spread.to(a.dtype).view_as(a)


def _averages(a: Tensor, labels: Tensor, num_regions: int, impl: str) -> tuple[Tensor, Tensor]:
    """Means [B,k] in float64 and their valid flags [B,k]."""
    _check(a, labels, num_regions, impl)
    sums = _sums_by_loop if impl == "reference" else _sums_by_scatter
    total, count = sums(a.flatten(1).double(), labels.flatten(1), num_regions)
    return total / count.clamp(min=1), count > 0


def _spread_by_loop(mean: Tensor, labels: Tensor) -> Tensor:
    """The mean of each pixel's region, by one boolean mask per sample and region: [B,k], labels [B,H*W] -> [B,H*W]."""
    spread = mean.new_zeros(labels.shape)
    for sample in range(len(mean)):
        for region in range(mean.shape[1]):
            spread[sample] = torch.where(labels[sample] == region, mean[sample, region], spread[sample].clone())
    return spread


def _sums_by_scatter(a: Tensor, labels: Tensor, num_regions: int) -> tuple[Tensor, Tensor]:
    """Sum of the attention and number of pixels of each region: a, labels [B,H*W] -> [B,k] each."""
    zeros = a.new_zeros(len(a), num_regions)
    return zeros.scatter_add(1, labels, a), zeros.scatter_add(1, labels, torch.ones_like(a))


def _sums_by_loop(a: Tensor, labels: Tensor, num_regions: int) -> tuple[Tensor, Tensor]:
    """`_sums_by_scatter` by one boolean mask per sample and region."""
    inside = [[labels[sample] == region for region in range(num_regions)] for sample in range(len(a))]
    total = [[a[sample][mask].sum() for mask in masks] for sample, masks in enumerate(inside)]
    count = [[mask.sum() for mask in masks] for masks in inside]
    return torch.stack([torch.stack(row) for row in total]), torch.stack([torch.stack(row) for row in count])


def _check(a: Tensor, labels: Tensor, num_regions: int, impl: str) -> None:
    """Raises ValueError for shapes that do not fit and labels outside [0,num_regions)."""
    check_impl(impl)
    if a.ndim != 4 or a.shape[1] != 1 or labels.shape != (a.shape[0], *a.shape[2:]):
        raise ValueError(f"attention [B,1,H,W] and labels [B,H,W] needed, got {list(a.shape)} and {list(labels.shape)}")
    if labels.dtype != torch.int64:
        raise ValueError(f"labels must be int64, got {labels.dtype}; use Regions.label")
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < num_regions:
        found = f"{int(labels.min())}..{int(labels.max())}"
        raise ValueError(f"labels are {found} but there are {num_regions} regions; allowed: 0..{num_regions - 1}")
