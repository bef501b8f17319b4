"""Edits of a photo: each face in its own crop by the editor, and only what changed put back into the photo.

Legend: R output resolution. Images are [1,3,R,R] in [-1,1].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor

from where2edit.core.records import Source
from where2edit.editing.certificate import allowed_region
from where2edit.editor.editor import Editor
from where2edit.editor.session import Result
from where2edit.editor.steps import Step
from where2edit.photos.alignment import Alignment
from where2edit.photos.paste import PhotoCertificate
from where2edit.photos.photo import Photo
from where2edit.photos.several import EditedCrop, paste_all


@dataclass(frozen=True, eq=False)
class FaceEdits:
    """A face of a photo as a source, and what its edits made of it."""

    alignment: Alignment
    source: Source
    results: Sequence[Result]
    allowed: Sequence[Tensor]  # bool [1,1,R,R] for each result: what may differ from the source in it


@dataclass(frozen=True, eq=False)
class PhotoResult:
    """What one step, after those before it, did to a photo."""

    certificate: PhotoCertificate  # of all that was done to the photo so far
    faces: tuple[Result, ...]  # of each face, in its crop


def edit_face(
    editor: Editor,
    alignment: Alignment,
    source: Source,
    steps: Sequence[Step],
    chosen: list[float] | None = None,
    sweep: Sequence[float] = (),
) -> FaceEdits:
    """The steps applied one after another to a face, as `Editor.sequence` does; of a sweep, one at each strength."""
    if sweep:
        results = editor.session(source).edits([replace(steps[0], strength=strength) for strength in sweep])
    else:
        results = editor.sequence(source, list(steps), chosen)
    allowed = [allowed_region(result.edit.mask, editor.halo, editor.resolution) for result in results]
    return FaceEdits(alignment, source, results, allowed if sweep else list(accumulate(allowed, torch.logical_or)))


def photo_results(photo: Photo, faces: Sequence[FaceEdits], count: int) -> Iterator[tuple[Photo, PhotoResult]]:
    """The photo after each of `count` edits of its faces, one at a time: a large photo needs much memory."""
    for number in range(count):
        crops = []
        for face in faces:
            assert face.source.image is not None  # the editor walks its sources to the end
            edited = face.results[number].image
            crops.append(EditedCrop(face.alignment, face.source.image, edited, face.allowed[number]))
        edited_photo, certificate = paste_all(photo, crops)
        yield edited_photo, PhotoResult(certificate, tuple(face.results[number] for face in faces))
