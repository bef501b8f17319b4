"""Faces in any photo, cut out as FFHQ frames them: the framing that generators, encoders and metrics were trained on.

Legend: F faces, H x W pixels. Images are [1,3,H,W] in [-1,1]; points are x, y in shares of the image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.backbones.alignment import FFHQ_LANDMARKS, crop, similarity
from where2edit.backbones.scrfd import FaceDetector

# Pixels at which a photo is looked at. The first finds faces that fill it, the second those that are small in it.
LOOKS = (320, 640)
NEAR = 0.04  # mean distance of the landmarks from FFHQ's, in shares of the image, of a face that is framed already


def find_faces(image: Tensor) -> Tensor:
    """Landmarks [F,5,2] of the faces in a photo of any shape, the largest face first; [0,5,2] where there is none."""
    height, width = image.shape[2:]
    scale = min(1.0, LOOKS[-1] / max(height, width))
    small = (max(1, round(height * scale)), max(1, round(width * scale)))
    image = F.interpolate(image, small, mode="bilinear", antialias=True, align_corners=False)
    # A square with grey at both ends: the detector would squash any other shape.
    side, rows, columns = max(small), max(small) - small[0], max(small) - small[1]
    square = F.pad(image, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))[0]
    points = torch.zeros(0, 5, 2)
    for size in LOOKS:
        points, *_ = FaceDetector.load(size).faces(square)
        if len(points):
            break
    return (points * side - torch.tensor([columns // 2, rows // 2])) / torch.tensor([small[1], small[0]])


def is_framed(image: Tensor, points: Tensor) -> bool:
    """Whether a face with these landmarks [5,2] already stands where FFHQ has it."""
    away = (points - torch.tensor(FFHQ_LANDMARKS)).norm(dim=1).mean()
    return image.shape[2] == image.shape[3] and float(away) < NEAR


def frame_face(image: Tensor, points: Tensor, size: int) -> Tensor:
    """The face with these landmarks [5,2] as FFHQ frames it, [1,3,size,size]; past the photo's rim its edge goes on."""
    height, width = image.shape[2:]
    # Shares of the longer side, so that a turned face is not sheared; then back to shares of each side.
    sides = torch.tensor([width, height]) / max(height, width)
    transform = similarity((points * sides)[None], torch.tensor(FFHQ_LANDMARKS))
    return crop(image, transform / sides[:, None], size, outside="border")
