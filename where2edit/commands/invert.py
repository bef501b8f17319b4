"""Inversions of the faces of a photo, kept where edits of the photo find them."""

from __future__ import annotations

from where2edit.commands.options import (
    add_config,
    add_device,
    add_dtype,
    add_out,
    add_overrides,
    filled,
    new_parser,
)
from where2edit.commands.outputs import writable
from where2edit.commands.photo_options import add_face, add_quality
from where2edit.commands.profiles import profile_of
from where2edit.editor.editor import Editor
from where2edit.editor.recipe_photos import RecipePhoto
from where2edit.files import pictures
from where2edit.photo_editing.faces import FaceSearch
from where2edit.photo_editing.sources import PhotoSources
from where2edit.photos.alignment import crop
from where2edit.photos.photo import read_photo

CELL = 512  # pixels of one picture of a sheet


def main(help_text: str) -> None:
    """Invert the faces that are asked for; say where each inversion is, and the picture that shows it."""
    parser = new_parser(help_text)
    parser.add_argument("--photo", type=filled, required=True, help="picture file; it is only read")
    add_face(parser)
    add_quality(parser)
    add_config(parser)
    add_device(parser)
    add_dtype(parser)
    add_out(parser, "out/edit", "folder of the inversions, where edits with the same --out find them")
    add_overrides(parser, "inversion.w_steps=200")
    options = parser.parse_args()
    profile = profile_of(options)
    folder = writable(options.out)
    photo = read_photo(options.photo)
    asked = RecipePhoto(options.photo, options.face, options.quality or RecipePhoto.quality)
    faces = FaceSearch(profile, folder).faces(photo, asked)
    sources = PhotoSources(Editor(profile, options.device))
    for face in faces:
        kept = sources.inversion(photo, face)
        image = sources.source(kept).image
        assert image is not None  # the editor walks its sources to the end
        seen = [crop(photo, face.alignment, CELL)[0], image[0].cpu()]
        sheet = pictures.sheet([seen], [f"face {face.of.face}"], ("photo", "inversion"), CELL)
        print(f"{face.path}\n{pictures.save_png(sheet, face.path.with_suffix('.png'))}")
