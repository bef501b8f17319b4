"""An inverted photo, and what metrics read of it: its inversion, and edits, which are put back into the photo.

Legend: R output resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from where2edit.core.records import Edit, Source
from where2edit.editing.certificate import allowed_region, halo
from where2edit.editing.conditions import Conditions
from where2edit.evaluation.edit_maker import edited, proposed_with
from where2edit.evaluation.metrics.edit_batch import AnalysedImages, EditBatch
from where2edit.evaluation.samples import PromptBatch
from where2edit.evaluation.table import BuiltRow
from where2edit.photos.alignment import Alignment, crop
from where2edit.photos.paste import paste
from where2edit.photos.photo import Photo


@dataclass(frozen=True, eq=False)
class InvertedPhoto:
    """A photo beside what a row's inversion makes of its face."""

    photo: Photo
    alignment: Alignment
    face: AnalysedImages  # the crop of the photo [1,3,R,R]
    source: Source  # its inversion
    inversion: AnalysedImages  # the picture of it
    seconds: float  # that the inversion took

    @property
    def exact(self) -> bool:
        """Whether the source has a residual, so that it shows the photo, and edits of it can be put back there."""
        return bool(self.source.residual)


def inversion_batch(row: BuiltRow, conditions: Conditions, asked: PromptBatch, inverted: InvertedPhoto) -> EditBatch:
    """A photo as a source, and its inversion as what became of it; the prompt has no meaning."""
    source = inverted.source
    return EditBatch(
        index=asked.index,
        source=source.with_(image=inverted.face.images),
        condition=conditions.of([asked.prompts[0].text], proposed_with(row)),
        edit=Edit(styles=source.styles, mask=row.method.frozen.flat_mask(source, 1.0), image=source.image),
        before=inverted.face,
        after=inverted.inversion,
        seconds=inverted.seconds,
    )


def edit_batch(row: BuiltRow, conditions: Conditions, asked: PromptBatch, inverted: InvertedPhoto) -> EditBatch:
    """One edit of an inversion: before and after are the crop of the photo where that is exact, else the inversion."""
    (prompt,), source, networks = asked.prompts, inverted.source, inverted.face.networks
    edit, condition = edited(row, source, conditions.of([prompt.text], proposed_with(row)))
    assert source.image is not None and edit.image is not None
    image, before, leak = edit.image, inverted.inversion, None
    reach, size = halo(row.method.frozen.generator, row.method.frozen.blend_site), edit.image.shape[-1]
    if inverted.exact:
        allowed = allowed_region(edit.mask, reach, size)
        pixels, certificate = paste(inverted.photo, inverted.alignment, source.image, image, allowed)
        image = crop(inverted.photo.with_pixels(pixels), inverted.alignment, size).to(image)
        before, leak = inverted.face, certificate.leak
    return EditBatch(
        index=asked.index,
        source=source,
        condition=condition,
        edit=edit,
        before=before,
        after=before if torch.equal(image, before.images) else AnalysedImages(image, networks),
        regions=(prompt.regions,),
        concepts=(prompt.concept,),
        halo=reach,
        leak=leak,
    )
