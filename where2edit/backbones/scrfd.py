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


class FaceDetector:
    """Finds the likeliest face of each image; points are x, y in shares of it: (0,0) top left, (1,1) bottom right."""

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
        """Landmarks [B,5,2] (eyes, nose, mouth corners; left first), box [B,4] (x0,y0,x1,y1) and score [B] in [0,1]."""
        check_images(images, "the face detector")
        # The training standardisation is (x - 127.5) / 128 on 0..255.
        x = resize(images.float(), self.size) * (127.5 / 128)
        found = [torch.cat(parts, 0) for parts in zip(*(self._one(image) for image in x.cpu()), strict=True)]
        return tuple(part.to(images.device) for part in found)

    def _one(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The likeliest face of one image [3,size,size]: landmarks [1,5,2], box [1,4] and score [1]."""
        values = self.session.run(self.outputs, {self.input: image[None].numpy()})
        score, box, points = (
            torch.cat([torch.from_numpy(v).reshape(-1, v.shape[-1]) for v in values[i : i + len(STRIDES)]])
            for i in range(0, len(values), len(STRIDES))
        )
        best = score[:, 0].argmax()
        centres, strides = _cells(self.size)
        box = (centres[best].repeat(2) + box[best] * strides[best] * torch.tensor([-1.0, -1.0, 1.0, 1.0])) / self.size
        points = (centres[best] + points[best].view(5, 2) * strides[best]) / self.size
        return points[None], box[None], score[best]


def _cells(size: int) -> tuple[Tensor, Tensor]:
    """Centre [N,2] in pixels and stride [N] of every anchor, in the order of the network's outputs."""
    centres, strides = [], []
    for stride in STRIDES:
        steps = torch.arange(size // stride) * float(stride)
        rows, columns = torch.meshgrid(steps, steps, indexing="ij")
        centres.append(torch.stack([columns, rows], -1).view(-1, 2).repeat_interleave(ANCHORS, 0))
        strides.append(torch.full((len(centres[-1]),), float(stride)))
    return torch.cat(centres), torch.cat(strides)
