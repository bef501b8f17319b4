"""A closer look at a face of a photo: its landmarks to a fraction of a pixel, whichever way up it is.

Legend: points are x, y in pixels, continuous: pixel i reaches from i to i + 1.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from where2edit.backbones.scrfd import FaceDetector
from where2edit.photos.alignment import Alignment, crop
from where2edit.photos.finding import PhotoFace, turned_back
from where2edit.photos.photo import Photo
from where2edit.photos.resampling import resample

# The face stands in the middle of a square of so many sides of its box, and that is read in so many pixels.
REACH, SQUARE = 3.0, 480
# In it the detector looks at frames of `LOOK` pixels: their side in shares of the square, and their shift to the right
# and down. It strays by one part in seventy of the distance of the eyes, differently at each look; their mean does not.
LOOK = 320
FRAMES = (
    (0.5, 0.0, 0.0),
    (0.58, 0.02, -0.02),
    (0.66, -0.02, -0.02),
    (0.74, 0.02, 0.02),
    (0.82, -0.02, 0.02),
    (0.9, 0.0, 0.0),
)
UPRIGHT = FRAMES[2]  # the frame by which it is told which way up the face is
MIDDLE, LEAST = 0.2, 0.1  # how far from the middle of a frame, in shares of it, and how sure what is found must be
MIRRORED = [1, 0, 2, 4, 3]  # left and right change places in a mirror


@torch.no_grad()
def look_closer(photo: Photo, face: PhotoFace) -> PhotoFace:
    """The same face with better landmarks, and with the score of the closer look."""
    detector = FaceDetector.load(LOOK)
    axis = np.array(Alignment.of(face.points).half)
    axis *= REACH / 2 * face.size / math.hypot(*axis)
    centre = (face.box[:2] + face.box[2:]) / 2
    square = Alignment((float(centre[0]), float(centre[1])), (float(axis[0]), float(axis[1])))
    seen = crop(photo, square, SQUARE)
    # The first look may have taken a face that lies on its side or is upside down for an upright one.
    turns = max(range(4), key=lambda k: _look(torch.rot90(seen, k, (2, 3)), detector, UPRIGHT)[0][1])
    turned = torch.rot90(seen, turns, (2, 3))
    looks = [look for frame in FRAMES for look in _look(turned, detector, frame)]
    good = [points for points, score in looks if score > 0]
    if not good:
        return face
    mean = turned_back(torch.stack(good).mean(0)[None], (SQUARE, SQUARE), turns)[0].numpy()
    points = mean @ square.to_photo(SQUARE)[:, :2].T + square.to_photo(SQUARE)[:, 2]
    return replace(face, points=points, score=float(np.mean([score for _, score in looks])))


def _look(seen: Tensor, detector: FaceDetector, frame: tuple[float, float, float]) -> list[tuple[Tensor, float]]:
    """Landmarks [5,2] in pixels of the square and score, by a look at a frame of it and one at its mirror image."""
    share, right, down = frame
    scale, corner = share * SQUARE / LOOK, [(0.5 + shift - share / 2) * SQUARE for shift in (right, down)]
    image = resample(seen, np.array([[scale, 0, corner[0]], [0, scale, corner[1]]]), (LOOK, LOOK)).clamp(-1, 1)[0]
    (points, score), (mirrored, other) = _middle_face(image, detector), _middle_face(image.flip(2), detector)
    mirrored = torch.stack([1 - mirrored[:, 0], mirrored[:, 1]], 1)[MIRRORED]
    shift = torch.tensor(corner, dtype=torch.float64)
    return [(points * LOOK * scale + shift, score), (mirrored * LOOK * scale + shift, other)]


def _middle_face(image: Tensor, detector: FaceDetector) -> tuple[Tensor, float]:
    """Landmarks [5,2], in shares of an image [3,H,W], of the surest face in its middle, and score; 0: none."""
    points, boxes, scores = detector.faces(image, LEAST)
    away = ((boxes[:, :2] + boxes[:, 2:]) / 2 - 0.5).abs().amax(1)
    points, scores = points[away < MIDDLE], scores[away < MIDDLE]
    if not len(scores):
        return torch.zeros(5, 2, dtype=torch.float64), 0.0
    return points[scores.argmax()].double(), float(scores.max())
