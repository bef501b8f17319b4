"""What a recipe says of a photo: the file, how it is inverted, and what was made of it on the way to the edit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from where2edit.core.bounds import Bounds
from where2edit.files.fingerprints import file_sha256
from where2edit.inversion.inverter import Quality

FaceNumber: TypeAlias = Annotated[int, Bounds(1, 10_000)]  # of a photo, from 1, the largest
FrameNumber: TypeAlias = Annotated[int, Bounds(1, 10_000_000)]


@dataclass(frozen=True)
class RecipeFile:
    """A file that was made on the way to an edit, and that a replay need not make again."""

    path: str
    sha256: str

    def there(self) -> bool:
        """Whether the file is there, with this content."""
        return Path(self.path).is_file() and file_sha256(self.path) == self.sha256


@dataclass(frozen=True)
class RecipeFace:
    """A face of a photo that was edited."""

    number: FaceNumber
    inversion: RecipeFile
    place: Annotated[int, Bounds(0, 10_000)] = 0  # among the faces that are edited in the first frame


@dataclass(frozen=True)
class RecipePhoto:
    """A photo as the source of an edit, and what was made of it."""

    path: str
    face: FaceNumber | Literal["all"] | None = None  # None: the largest
    quality: Quality = "good"  # of the inversion
    keep_metadata: bool = False
    frame: FrameNumber | None = None  # its number among frames; None: it is none
    first: str | None = None  # the frame that chooses masks and strengths for all; None: each does for itself
    # What was made; none of it says what was asked for.
    faces: tuple[RecipeFace, ...] = ()
    steady: RecipeFile | None = None  # masks and strengths of the first frame (photo_editing/steady.py)

    def with_paths(self, change: Callable[[str], str]) -> RecipePhoto:
        """The same with every path changed."""
        faces = (replace(x, inversion=replace(x.inversion, path=change(x.inversion.path))) for x in self.faces)
        steady = None if self.steady is None else replace(self.steady, path=change(self.steady.path))
        first = None if self.first is None else change(self.first)
        return replace(self, path=change(self.path), first=first, faces=tuple(faces), steady=steady)
