"""The faces of a photo that are to be edited: the largest, one by its number, or all; and why one cannot be.

Legend: points are x, y in pixels of the photo.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import torch

from where2edit.backbones.alignment import FFHQ_BOX, FFHQ_LANDMARKS, similarity
from where2edit.core.sentences import quoted
from where2edit.photos.alignment import Alignment
from where2edit.photos.closer import look_closer
from where2edit.photos.finding import PhotoFace, find_faces
from where2edit.photos.photo import Photo

LEAST_SIZE = 64  # pixels of the longer side of a face's box
MOST_OUTSIDE = 0.2  # share of a face, from the forehead to the chin, that may lie outside of the photo
MOST_TURNED = 60.0  # degrees to the side
NOSE = 0.4  # how far the tip of the nose stands out of the plane of eyes and mouth, in distances of the eyes
GRID = 32  # points a side by which the share of a face outside is counted


def choose(
    photo: Photo, which: int | str | None = None, faces: Sequence[PhotoFace] | None = None
) -> tuple[PhotoFace, ...]:
    """The faces of a photo to edit, with landmarks by a closer look.

    `which`: None for the largest, a number from 1 (the largest) on, or "all" for all that can be edited; a warning says
    which are left out. `faces`: those of `find_faces`, where they are known. Raises ValueError for a photo without a
    face, for a number that it does not have, and for a face that is too small, cut off or turned away.
    """
    _check(which)
    faces = find_faces(photo) if faces is None else faces
    if not faces:
        size = f"{photo.size[0]}x{photo.size[1]} px"
        raise ValueError(
            f"no face was found in {photo.name} ({size}); give one that shows a face of {LEAST_SIZE} px or more"
        )
    if which == "all":
        return _all(photo, faces)
    number = 1 if which is None else int(which)
    if number > len(faces):
        has = "one face" if len(faces) == 1 else f"{len(faces)} faces"
        raise ValueError(
            f"face {number} is asked for, but {photo.name} has {has}; give a number from 1 to {len(faces)}"
        )
    face = look_closer(photo, faces[number - 1])
    reason = why_not(photo, face)
    if reason:
        raise ValueError(f"face {number} of {len(faces)} in {photo.name} {reason}; give another face or photo")
    return (face,)


def _all(photo: Photo, faces: Sequence[PhotoFace]) -> tuple[PhotoFace, ...]:
    """The faces that can be edited. Raises ValueError where there is none."""
    closer = [look_closer(photo, face) for face in faces]
    reasons = [why_not(photo, face) for face in closer]
    if all(reasons):
        raise ValueError(f"no face of {photo.name} can be edited: the largest {reasons[0]}; give another photo")
    for face, reason in zip(closer, reasons, strict=True):
        if reason:
            warnings.warn(f"face {face.number} of {photo.name} {reason}: it stays as it is", stacklevel=3)
    return tuple(face for face, reason in zip(closer, reasons, strict=True) if not reason)


def _check(which: int | str | None) -> None:
    whole = isinstance(which, int) and not isinstance(which, bool) and which >= 1
    if not (which is None or which == "all" or whole):
        raise ValueError(f"face is {quoted(which)}; give a number from 1 (the largest face) on, or 'all'")


def why_not(photo: Photo, face: PhotoFace) -> str | None:
    """Why a face cannot be edited, as the end of a sentence; None where it can be."""
    if face.size < LEAST_SIZE:
        return f"is {face.size:.0f} px high, and {LEAST_SIZE} px are needed"
    outside = share_outside(photo, face)
    if outside > MOST_OUTSIDE:
        return f"is cut off: {outside:.0%} of it lie outside of the photo, and at most {MOST_OUTSIDE:.0%} may"
    turned = degrees_turned(face)
    if turned > MOST_TURNED:
        return f"is turned away by about {turned:.0f} degrees, and at most {MOST_TURNED:.0f} are edited"
    return None


def share_outside(photo: Photo, face: PhotoFace) -> float:
    """The share of a face, from the forehead to the chin and from ear to ear, that lies outside of its photo."""
    left, top, right, bottom = FFHQ_BOX
    x, y = np.meshgrid(np.linspace(left, right, GRID), np.linspace(top, bottom, GRID))
    frame = similarity(torch.from_numpy(face.points).float()[None], torch.tensor(FFHQ_LANDMARKS))[0].double().numpy()
    places = np.stack([x.ravel(), y.ravel()], 1) @ frame[:, :2].T + frame[:, 2]
    return float(1 - ((places >= 0) & (places <= photo.size)).all(1).mean())


def degrees_turned(face: PhotoFace) -> float:
    """How far a face is turned to the side, in degrees from 0 to 90, by its five landmarks.

    Seen from the side, the distance of the eyes shrinks with the cosine of the angle, and the tip of the nose leaves
    the line from between the eyes to the middle of the mouth by its height times the sine. How far the head is tilted,
    or looks up or down, does not matter.
    """
    axis = np.array(Alignment.of(face.points).half)
    axis /= math.hypot(*axis)
    eyes, mouth, nose = face.points[:2].mean(0), face.points[3:].mean(0), face.points[2]
    down = mouth - eyes
    along = float(np.clip((nose - eyes) @ down / (down @ down), 0, 1)) if down.any() else 0.0
    aside = abs(float((nose - eyes - along * down) @ axis))
    width = max(0.0, float((face.points[1] - face.points[0]) @ axis))
    return math.degrees(math.atan2(aside / NOSE, width))
