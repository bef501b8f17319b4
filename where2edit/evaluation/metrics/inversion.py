"""How well an inversion gives a photo back (table `photos`): here the source is the photo, the edit its inversion.

Legend: B photos of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import LPIPS_SIZE, EditBatch
from where2edit.evaluation.metrics.fidelity import BEST_PSNR, masked_psnr
from where2edit.evaluation.metrics.identity import IdArcFace, IdFaceNet
from where2edit.evaluation.metrics.perceptual import Lpips
from where2edit.evaluation.metrics.run_time import RunTime


@METRICS.register("inversion_lpips")
class InversionLpips(Lpips):
    of_inversion = True
    protocol = f"mean LPIPS (VGG16, v0.1) of photo and inversion at {LPIPS_SIZE} px; the fit lowers it too"


@METRICS.register("inversion_l2")
class InversionL2(Metric):
    of_inversion = True
    higher_is_better = False
    protocol = f"mean squared difference of photo and inversion at {LPIPS_SIZE} px, colours in [-1,1]"

    def measure(self, batch: EditBatch) -> Tensor:
        return (batch.before.at_lpips_size - batch.after.at_lpips_size).square().mean((1, 2, 3))


@METRICS.register("inversion_psnr")
class InversionPsnr(Metric):
    of_inversion = True
    higher_is_better = True
    protocol = (
        f"mean PSNR in dB of photo and inversion at the generator's resolution; equal pixels count {BEST_PSNR:.0f}"
    )

    def measure(self, batch: EditBatch) -> Tensor:
        before, after = batch.before.images, batch.after.images
        return masked_psnr(before, after, torch.ones_like(before[:, 0], dtype=torch.bool))


@METRICS.register("inversion_id_facenet")
class InversionIdFaceNet(IdFaceNet):
    of_inversion = True
    protocol = (
        "mean cosine of FaceNet (Inception-ResNet-v1) embeddings of photo and inversion, FFHQ crop; no fit reads it"
    )


@METRICS.register("inversion_id_arcface")
class InversionIdArcFace(IdArcFace):
    of_inversion = True
    protocol = (
        "mean cosine of ArcFace (MobileFaceNet, WebFace600K) embeddings of photo and inversion, FFHQ crop; the fit "
        "raises this cosine itself, so that it flatters W+ and the canvas"
    )


@METRICS.register("inversion_seconds")
class InversionSeconds(RunTime):
    of_inversion = True
    protocol = "seconds from the crop of a face to its latents and canvas, once the networks are loaded"
