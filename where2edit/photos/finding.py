"""All faces of a photo: searched at several scales and, where nothing is found, in the photo turned.

Legend: N faces. Points are x, y in pixels of the photo, continuous; boxes are x0, y0, x1, y1 in the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from where2edit.backbones.face_framing import LOOKS
from where2edit.backbones.scrfd import OVERLAP, FaceDetector
from where2edit.files.pictures import to_image
from where2edit.photos.photo import Box, Photo

# A larger photo is looked at in tiles too, at half their size: there a face of 64 px has 32, as many as are needed.
TILE, TILE_OVERLAP = 1280, 320
INSIDE = 0.7  # share of a box inside another one from which on both are of one face, as where a tile cuts it
GREY = (128, 128, 128)  # around what is not square


@dataclass(frozen=True, eq=False)
class PhotoFace:
    """A face of a photo."""

    number: int  # from 1, the largest
    points: np.ndarray  # [5,2]: left eye, right eye, nose, left and right mouth corner; left as the viewer sees it
    box: np.ndarray  # [4]
    score: float  # how sure the detector is, in [0,1]

    @property
    def size(self) -> float:
        """The longer side of its box in pixels; of an upright face its height, from the forehead to the chin."""
        return float(max(self.box[2:] - self.box[:2]))


Found = tuple[Tensor, Tensor, Tensor]  # landmarks [N,5,2], boxes [N,4], scores [N]


@torch.no_grad()
def find_faces(photo: Photo) -> tuple[PhotoFace, ...]:
    """All faces of a photo, the largest first; `closer.look_closer` knows their landmarks better.

    Only where none is found, the photo is turned by 90, 180 and 270 degrees; what is found best there counts.
    """
    detectors = [FaceDetector.load(size) for size in LOOKS]
    found = _search(photo, 0, detectors)
    if not len(found[2]):
        found = max((_search(photo, turns, detectors) for turns in (1, 2, 3)), key=lambda each: float(each[2].sum()))
    points, boxes, scores = found
    order = (boxes[:, 2:] - boxes[:, :2]).amax(1).argsort(descending=True).tolist()
    return tuple(
        PhotoFace(number, points[i].double().numpy(), boxes[i].double().numpy(), float(scores[i]))
        for number, i in enumerate(order, 1)
    )


def _search(photo: Photo, turns: int, detectors: list[FaceDetector]) -> Found:
    """The faces of a photo that is turned by so many quarters; places are those in the photo as it is."""
    turned = replace(photo, pixels=np.rot90(photo.pixels, turns))
    if photo.alpha is not None:
        turned = replace(turned, alpha=np.rot90(photo.alpha, turns))
    scale = min(1.0, LOOKS[-1] / max(turned.size))
    width, height = (max(1, round(side * scale)) for side in turned.size)
    small = turned.srgb(turned.whole, (width, height))
    looks = [look(small, turned.whole, detector) for detector in detectors]
    for box in _tiles(*turned.size):
        left, top, right, bottom = box
        looks.append(
            look(turned.srgb(box, (math.ceil((right - left) / 2), math.ceil((bottom - top) / 2))), box, detectors[-1])
        )
    points, boxes, scores = _each_once(*(torch.cat(part) for part in zip(*looks, strict=True)))
    points = turned_back(points, turned.size, turns)
    corners = turned_back(boxes.view(-1, 2, 2), turned.size, turns)
    return points, torch.cat([corners.amin(1), corners.amax(1)], 1), scores


def _tiles(width: int, height: int) -> Iterator[Box]:
    """Boxes that cover a photo, with overlap; none where a single one would do."""
    if max(width, height) <= TILE:
        return
    columns, rows = ([round(x) for x in np.linspace(0, max(0, side - TILE), _count(side))] for side in (width, height))
    for top in rows:
        for left in columns:
            yield left, top, min(left + TILE, width), min(top + TILE, height)


def _count(side: int) -> int:
    return 1 + math.ceil(max(0, side - TILE) / (TILE - TILE_OVERLAP))


def look(picture: Image.Image, box: Box, detector: FaceDetector) -> Found:
    """The faces in a picture that shows a box of a photo."""
    side = max(picture.size)
    corner = ((side - picture.width) // 2, (side - picture.height) // 2)
    square = Image.new("RGB", (side, side), GREY)
    square.paste(picture, corner)
    # The detector would squash a picture that is no square.
    points, boxes, scores = detector.faces(to_image(square)[0])
    scale = torch.tensor([(box[2] - box[0]) / picture.width, (box[3] - box[1]) / picture.height])
    places = (torch.cat([points, boxes.view(-1, 2, 2)], 1) * side - torch.tensor(corner)) * scale + torch.tensor(
        box[:2]
    )
    return places[:, :5], places[:, 5:].flatten(1), scores


def _each_once(points: Tensor, boxes: Tensor, scores: Tensor) -> Found:
    """Of what several looks found of one face, what is surest."""
    from torchvision.ops import nms

    kept: list[int] = []
    for i in nms(boxes, scores, OVERLAP).tolist():  # the surest first
        if all(_shared(boxes[i], boxes[k]) < INSIDE for k in kept):
            kept.append(i)
    return points[kept], boxes[kept], scores[kept]


def _shared(a: Tensor, b: Tensor) -> float:
    """The share of the smaller of two boxes that lies in the other one."""
    both = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0).prod()
    return float(both / torch.minimum((a[2:] - a[:2]).prod(), (b[2:] - b[:2]).prod()))


def turned_back(points: Tensor, size: tuple[int, int], turns: int) -> Tensor:
    """Places [N,P,2] in a photo that was turned by quarters, and then had this size, in the photo before."""
    width, height = size
    for _ in range(turns):
        points = torch.stack([height - points[..., 1], points[..., 0]], -1)
        width, height = height, width
    return points
