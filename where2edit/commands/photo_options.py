"""Options of photos: which picture, which of its faces, and how closely they are inverted."""

from __future__ import annotations

from argparse import ArgumentParser

from where2edit.commands.options import Parser, filled, number
from where2edit.editor.recipe_photos import FaceNumber
from where2edit.inversion.kept import QUALITIES


def add_photo(parser: ArgumentParser) -> None:
    """The group of options of photos."""
    photo = parser.add_argument_group("your own photo")
    words = "picture file in place of a generated face; a folder or a pattern in quotes, such as 'frames/*.png', edits"
    words += (
        " all in their natural order and numbers what it writes. Photos are written as PNG, which keeps every pixel"
    )
    photo.add_argument("--photo", type=filled, help=f"{words}; the original is never replaced")
    add_face(photo, "; frames follow the faces of the first one")
    add_quality(photo)
    words = "keep where the photo was taken (GPS) and the maker's notes; all else of EXIF and the profile always stay"
    photo.add_argument("--keep-metadata", action="store_true", help=words)
    words = "frames: masks and strengths are chosen on the first one, and kept"
    photo.add_argument("--steady", action="store_true", help=words)


def add_face(to: Parser, also: str = "") -> None:
    """`--face`, for photos.faces.choose; `also` ends its help."""

    def face(text: str) -> int | str:
        return "all" if text == "all" else number(FaceNumber, " or all")(text)

    words = "number of the face, 1 is the largest, or all (default: the largest)"
    to.add_argument("--face", type=face, help=f"{words}{also}")


def add_quality(to: Parser) -> None:
    """`--quality`: None where it is not given."""
    words = "how closely the face is inverted; what is in --out already is used again (default: good)"
    to.add_argument("--quality", choices=QUALITIES, help=words)
