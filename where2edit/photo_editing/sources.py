"""Faces of photos as sources of an editor: inverted once, and kept.

Legend: R output resolution.
"""

from __future__ import annotations

from functools import cached_property

from where2edit.core.records import Source
from where2edit.editor.editor import Editor
from where2edit.inversion.inverter import Inverter
from where2edit.inversion.kept import ADVICE, KeptInversion
from where2edit.photo_editing.faces import FaceToEdit
from where2edit.photos.alignment import crop
from where2edit.photos.photo import Photo


class PhotoSources:
    """Inverts faces for an editor; what inverts is built when the first face needs it."""

    def __init__(self, editor: Editor):
        self.editor = editor

    @cached_property
    def inverter(self) -> Inverter:
        frozen = self.editor.frozen
        preview = frozen.own_preview
        return Inverter(self.editor.profile.inversion, frozen.generator, frozen.blend_site, preview)

    def inversion(self, photo: Photo, face: FaceToEdit, start: KeptInversion | None = None) -> KeptInversion:
        """The inversion of a face: what is kept, or a new one, which is then written to its path.

        start: that of the frame before. An inversion that was interrupted goes on where it was.
        """
        if face.kept is not None:
            return face.kept
        seen = crop(photo, face.alignment, self.editor.resolution).to(self.editor.device)
        state = face.path.with_name(f"{face.path.stem}-unfinished.safetensors")
        begin = None if start is None else start.inverted
        inverted = self.inverter.invert(seen, face.of.quality, start=begin, state=state)
        kept = KeptInversion(face.of, face.alignment, inverted, face.faces)
        kept.write(face.path)
        return kept

    def source(self, kept: KeptInversion) -> Source:
        """The source of an inverted face. Raises ValueError for codes or a residual of another generator."""
        frozen, inverted = self.editor.frozen, kept.inverted.to(self.editor.frozen.generator.w_mean)
        site = frozen.generator.site(frozen.blend_site)
        fits = (1, site.channels, site.resolution, site.resolution)
        if inverted.residual is not None and inverted.residual.shape != fits:
            got = list(inverted.residual.shape)
            raise ValueError(f"the residual of an inversion is {list(fits)} at '{site.name}', got {got}; {ADVICE}")
        return self.editor.source(w=inverted.w, residual=inverted.residual)
