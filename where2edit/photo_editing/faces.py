"""Which faces of a photo are edited, and where each lies: by a detector, or as an inversion that is kept says."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from where2edit.core import config
from where2edit.editor.profile import Profile
from where2edit.editor.recipe_photos import RecipeFace, RecipePhoto
from where2edit.files.atomic import shortened
from where2edit.files.fingerprints import digest
from where2edit.files.pictures import save_png
from where2edit.inversion.kept import InversionOf, KeptInversion, find_kept, read_kept
from where2edit.photos.alignment import Alignment
from where2edit.photos.faces import choose
from where2edit.photos.finding import PhotoFace, find_faces
from where2edit.photos.numbering import numbered_picture
from where2edit.photos.photo import Photo


@dataclass(frozen=True, eq=False)
class FaceToEdit:
    """A face of a photo that is to be edited."""

    place: int  # from 0, among those that are edited; of frames, in the first one
    of: InversionOf
    alignment: Alignment
    faces: int  # that the photo has
    path: Path  # of its inversion, which is there or will be
    kept: KeptInversion | None = None  # what is there


def inversion_digest(profile: Profile) -> str:
    """The digest of what an inversion depends on: the generator, its previews, and how it is inverted."""
    sections = {"inversion": profile.inversion, "preview_head": profile.preview_head}
    # The same codes give the same face in any number type.
    sections["generator"] = replace(profile.generator, dtype="float32", cuda_graphs=False)
    return digest({name: config.as_dict(section) for name, section in sections.items()})


class FaceSearch:
    """Finds the faces to edit; inversions are looked for, and will be kept, in `folder`."""

    def __init__(self, profile: Profile, folder: Path):
        self.made_with, self.folder = inversion_digest(profile), folder

    def faces(
        self, photo: Photo, asked: RecipePhoto, before: Mapping[int, KeptInversion] | None = None
    ) -> tuple[FaceToEdit, ...]:
        """The faces of a photo that are asked for: those of a recipe, or of the frame `before`, or by their numbers.

        `before`: by their places. Its faces are followed, and of those that are gone a warning says so. Raises
        ValueError as `photos.faces.choose` does.
        """
        if asked.faces:
            return tuple(self._recorded(photo, asked, face) for face in asked.faces)
        if before is not None:
            return self._followed(photo, asked, before)
        if asked.face != "all":
            found = find_kept(self.folder, self._of(photo, asked, asked.face or 1))
            if found is not None:
                self._say_several(photo, asked, found[1].faces)
                return (_kept(0, *found),)
        faces = find_faces(photo)
        chosen = choose(photo, asked.face, faces)
        if len(faces) > 1 and asked.face is None:
            save_png(numbered_picture(photo, faces), self._numbers(photo, asked))
            self._say_several(photo, asked, len(faces))
        return tuple(self._face(photo, asked, place, face, len(faces)) for place, face in enumerate(chosen))

    def _face(self, photo: Photo, asked: RecipePhoto, place: int, face: PhotoFace, faces: int) -> FaceToEdit:
        of = self._of(photo, asked, face.number)
        found = find_kept(self.folder, of)
        if found is not None:
            return _kept(place, *found)
        path = of.path(self.folder, Path(asked.path).stem)
        return FaceToEdit(place, of, Alignment.of(face.points), faces, path)

    def _of(self, photo: Photo, asked: RecipePhoto, number: int) -> InversionOf:
        return InversionOf(photo.sha256, number, asked.quality, self.made_with)

    def _recorded(self, photo: Photo, asked: RecipePhoto, face: RecipeFace) -> FaceToEdit:
        """A face of a recipe, by its inversion. Raises ValueError for the inversion of another photo."""
        path = Path(face.inversion.path)
        if face.inversion.there():
            kept = read_kept(path)
            if (kept.of.photo_sha256, kept.of.face) != (photo.sha256, face.number):
                raise ValueError(f"{path} is not the inversion of face {face.number} in {photo.name}; put it back")
            return _kept(face.place, path, kept)
        warnings.warn(f"the inversion {path} is gone or has changed: the face is inverted again", stacklevel=3)
        faces = find_faces(photo)
        return self._face(photo, asked, face.place, choose(photo, face.number, faces)[0], len(faces))

    def _followed(
        self, photo: Photo, asked: RecipePhoto, before: Mapping[int, KeptInversion]
    ) -> tuple[FaceToEdit, ...]:
        faces, found = find_faces(photo), []
        left = list(faces)
        for place, kept in sorted(before.items()):
            try:
                nearest = _nearest(photo, left, kept.alignment)
                (face,) = choose(photo, nearest.number, faces)
            except ValueError as error:
                warnings.warn(f"{error}: this face of it stays as it is", stacklevel=3)
                continue
            left.remove(nearest)
            found.append(self._face(photo, asked, place, face, len(faces)))
        return tuple(found)

    def _numbers(self, photo: Photo, asked: RecipePhoto) -> Path:
        """The picture of the photo with numbers at its faces."""
        return self.folder / f"{shortened(Path(asked.path).stem, 60)}-faces-{photo.sha256[:6]}.png"

    def _say_several(self, photo: Photo, asked: RecipePhoto, faces: int) -> None:
        """A warning where several faces were found, and none was chosen."""
        if faces > 1 and asked.face is None:
            said = f"{photo.name} has {faces} faces: the largest is edited"
            warnings.warn(f"{said}; --face takes another number of {self._numbers(photo, asked)}, or all", stacklevel=4)


def _kept(place: int, path: Path, kept: KeptInversion) -> FaceToEdit:
    return FaceToEdit(place, kept.of, kept.alignment, kept.faces, path, kept)


def _nearest(photo: Photo, faces: Sequence[PhotoFace], last: Alignment) -> PhotoFace:
    """The face of a frame that is the one that lay in this square. Raises ValueError where none is near."""

    def away(face: PhotoFace) -> float:
        return math.dist(Alignment.of(face.points).centre, last.centre)

    nearest = min(faces, key=away, default=None)
    if nearest is None or away(nearest) > last.side / 2:
        x, y = last.centre
        raise ValueError(f"{photo.name} has no face near {x:.0f}, {y:.0f}, where the frame before has one")
    return nearest
