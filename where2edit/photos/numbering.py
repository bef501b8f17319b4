"""A picture of a photo in which its faces carry the numbers by which they are chosen."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from where2edit.files.labels import plain_font
from where2edit.photos.faces import why_not
from where2edit.photos.finding import PhotoFace
from where2edit.photos.photo import Photo

LARGEST = 1600  # pixels of the longer side of the picture
CAN, CANNOT, INK = (60, 220, 90), (170, 170, 170), (0, 0, 0)


def numbered_picture(photo: Photo, faces: Sequence[PhotoFace]) -> Image.Image:
    """The photo, at most LARGEST pixels a side, with a box and a number at each face; grey if it cannot be edited."""
    scale = min(1.0, LARGEST / max(photo.size))
    size = (max(1, round(photo.size[0] * scale)), max(1, round(photo.size[1] * scale)))
    picture = photo.srgb(photo.whole, size)
    draw = ImageDraw.Draw(picture)
    line, font = max(2, max(size) // 400), plain_font(max(14, max(size) // 40))
    for face in reversed(faces):  # the largest on top
        colour = CANNOT if why_not(photo, face) else CAN
        left, top, right, bottom = (float(x) * scale for x in face.box)
        draw.rectangle((left, top, right, bottom), outline=colour, width=line)
        # The number hangs in the upper left corner of the box, or of the photo where that lies outside.
        place = (max(left, 0), max(top, 0))
        x0, y0, x1, y1 = draw.textbbox((place[0] + 2 * line, place[1] + line), str(face.number), font)
        draw.rectangle((*place, x1 + 2 * line, y1 + 2 * line), fill=colour)
        draw.text((place[0] + 2 * line, place[1] + line), str(face.number), INK, font)
    return picture
