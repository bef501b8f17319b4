"""PSNR and SSIM over the pixels that an edit should leave alone (in Table 2: those that are never hair).

Legend: B batch, C channels, R resolution. Images are clipped to [-1,1] and compared at full resolution with a data
range of 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.backbones.face_parsing import region_mask
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import EditBatch

BEST_PSNR = 100.0  # dB that stands for equal pixels, whose ratio would be infinite


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` [B,C,R,R] over channels and the pixels where `mask` [B,R,R] is true: [B]; nan over no pixel."""
    count = mask.flatten(1).sum(1)
    return (values.mean(1) * mask).flatten(1).sum(1) / count


def masked_psnr(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB over `mask`: [B], at most BEST_PSNR."""
    error = masked_mean((a.clamp(-1, 1) - b.clamp(-1, 1)) ** 2, mask)
    return (10 * torch.log10(4 / error)).clamp(max=BEST_PSNR)


def masked_ssim(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004, Gaussian window, sigma 1.5) averaged over `mask`: [B]."""
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    a, b = a.clamp(-1, 1), b.clamp(-1, 1)
    if torch.equal(a, b):
        return masked_mean(torch.ones_like(a), mask)
    _, full = ssim(a, b, sigma=1.5, data_range=2.0, return_full_image=True)
    return masked_mean(full, mask)


def outside_hair(batch: EditBatch) -> Tensor:
    """True where neither the source nor the edited image has hair: [B,R,R]."""
    return ~(region_mask(batch.before.labels, "hair") | region_mask(batch.after.labels, "hair"))


@METRICS.register("psnr_outside_hair")
class PsnrOutsideHair(Metric):
    higher_is_better = True
    needs = ("face_parsing",)
    protocol = f"mean PSNR in dB over pixels that are hair neither before nor after; equal pixels count {BEST_PSNR:.0f}"

    def measure(self, batch: EditBatch) -> Tensor:
        return masked_psnr(batch.source.image, batch.edit.image, outside_hair(batch))


@METRICS.register("ssim_outside_hair")
class SsimOutsideHair(Metric):
    higher_is_better = True
    needs = ("face_parsing",)
    protocol = "mean SSIM map over pixels that are hair neither before nor after"

    def measure(self, batch: EditBatch) -> Tensor:
        return masked_ssim(batch.source.image, batch.edit.image, outside_hair(batch))


@METRICS.register("psnr_outside_region")
class PsnrOutsideRegion(Metric):
    higher_is_better = True
    needs = ("face_parsing",)
    reads_regions = True
    protocol = f"mean PSNR in dB outside the parsed region that the prompt names; equal pixels count {BEST_PSNR:.0f}"

    def measure(self, batch: EditBatch) -> Tensor:
        return masked_psnr(batch.source.image, batch.edit.image, batch.outside_region)


@METRICS.register("ssim_outside_region")
class SsimOutsideRegion(Metric):
    higher_is_better = True
    needs = ("face_parsing",)
    reads_regions = True
    protocol = "mean SSIM map outside the parsed region that the prompt names"

    def measure(self, batch: EditBatch) -> Tensor:
        return masked_ssim(batch.source.image, batch.edit.image, batch.outside_region)
