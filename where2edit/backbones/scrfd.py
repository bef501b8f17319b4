"""SCRFD-500M face detector with five landmarks (Guo et al. 2021, arXiv 2105.04714), run by onnxruntime.

Weights: asset `scrfd` (InsightFace buffalo_s; non-commercial research only).

Legend: B batch, N anchors. Images are [B,3,H,W] in [-1,1].
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from where2edit.backbones.preprocess import check_images, resize
from where2edit.files import assets

STRIDES = (8, 16, 32)
ANCHORS = 2  # boxes per cell
OVERLAP = 0.4  # share of the union of two boxes that overlaps where both are of one face


class FaceDetector:
    """Finds faces; points are x, y in shares of the image: (0,0) top left, (1,1) bottom right."""

    def __init__(self, path: str | Path, size: int = 320):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.size = size
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.outputs = [f"{kind}_{stride}" for kind in ("score", "bbox", "kps") for stride in STRIDES]

    @classmethod
    def load(cls, size: int = 320) -> FaceDetector:
        """The detector from the asset `scrfd`; images are read at `size` (a multiple of 32)."""
        return cls(assets.fetch("scrfd"), size)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The likeliest face of each image.

        Landmarks [B,5,2] (eyes, nose, mouth corners; left first), box [B,4] (x0,y0,x1,y1) and score [B] in [0,1].
        """
        anchors = [self._anchors(image) for image in images]
        best = [score.argmax() for *_, score in anchors]
        found = ([part[i] for part, i in zip(parts, best, strict=True)] for parts in zip(*anchors, strict=True))
        return tuple(torch.stack(part).to(images.device) for part in found)

    @torch.no_grad()
    def faces(self, image: Tensor, least: float = 0.5) -> tuple[Tensor, Tensor, Tensor]:
        """The F faces of an image [3,H,W] that score `least` or more, largest first.

        Landmarks [F,5,2], boxes [F,4] and scores [F], as above.
        """
        from torchvision.ops import nms

        points, box, score = self._anchors(image)
        sure = score >= least
        points, box, score = points[sure], box[sure], score[sure]
        # One face is found by many anchors, whose boxes overlap.
        kept = nms(box, score, OVERLAP)
        points, box, score = points[kept], box[kept], score[kept]
        order = (box[:, 2:] - box[:, :2]).prod(1).argsort(descending=True)
        return points[order], box[order], score[order]

    def _anchors(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What every anchor says of an image [3,H,W]: landmarks [N,5,2], boxes [N,4] and scores [N]."""
        check_images(image[None], "the face detector")
        # The training standardisation is (x - 127.5) / 128 on 0..255.
        image = resize(image[None].float(), self.size)[0].cpu() * (127.5 / 128)
        values = self.session.run(self.outputs, {self.input: image[None].numpy()})
        score, box, points = (
            torch.cat([torch.from_numpy(v).reshape(-1, v.shape[-1]) for v in values[i : i + len(STRIDES)]])
            for i in range(0, len(values), len(STRIDES))
        )
        centres, strides = _cells(self.size)
        box = (centres.repeat(1, 2) + box * strides[:, None] * torch.tensor([-1.0, -1.0, 1.0, 1.0])) / self.size
        points = (centres[:, None] + points.view(-1, 5, 2) * strides[:, None, None]) / self.size
        return points, box, score[:, 0]


def _cells(size: int) -> tuple[Tensor, Tensor]:
    """Centre [N,2] in pixels and stride [N] of every anchor, in the order of the network's outputs."""
    centres, strides = [], []
    for stride in STRIDES:
        steps = torch.arange(size // stride) * float(stride)
        rows, columns = torch.meshgrid(steps, steps, indexing="ij")
        centres.append(torch.stack([columns, rows], -1).view(-1, 2).repeat_interleave(ANCHORS, 0))
        strides.append(torch.full((len(centres[-1]),), float(stride)))
    return torch.cat(centres), torch.cat(strides)
