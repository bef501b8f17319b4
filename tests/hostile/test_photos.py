"""A hundred bad and odd pictures as photos to edit: each gives a clear sentence, or the right faces."""

import io
import warnings

import numpy as np
import pytest
from photo_cases import astronaut, smooth
from picture_files import ADOBE, HUGE, LINEAR_GREY, LOSSLESS, OTHERS, encoded, noise, write
from PIL import EpsImagePlugin, Image, ImageCms, ImageOps
from special_files import IMPOSSIBLE, SPECIAL, refused

from where2edit.files.picture_reading import FORMATS
from where2edit.photos.faces import choose
from where2edit.photos.finding import find_faces
from where2edit.photos.photo import read_photo

HEAD = (130, 20, 330, 220)


def chosen(path, which="all"):
    return choose(read_photo(path), which)


@pytest.mark.parametrize("case", SPECIAL)
def test_what_is_no_file_is_refused(case, tmp_path):
    make, said = SPECIAL[case]
    make(tmp_path / "x.png")
    refused(lambda: chosen(tmp_path / "x.png"), said)


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_no_file_can_be_called_is_refused(case):
    refused(lambda: chosen(IMPOSSIBLE[case]), "at")


BROKEN = {f"content: {kind}": (data, "PNG, JPEG, WebP, TIFF, BMP or GIF") for kind, data in OTHERS.items()}
BROKEN |= {f"too large: {kind}": (data, "x.png cannot be read as a photo") for kind, data in HUGE.items()}
for _kind in FORMATS:
    _data = encoded(_kind, noise())
    BROKEN[f"broken off: {_kind}"] = (_data[: len(_data) // 2], "x.png cannot be read as a photo")
for _kind in ("GIF", "PNG", "WEBP", "TIFF"):
    _data = encoded(_kind, noise(), save_all=True, append_images=[noise(mode="L").convert("RGB")])
    BROKEN[f"moves: {_kind}"] = (_data, "holds several pictures")
for _mode in ("I", "F"):
    BROKEN[f"mode {_mode}"] = (
        encoded("TIFF", Image.new(_mode, (9, 9))),
        "x.png cannot be read as a photo (it has pixels",
    )


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_whole_picture_is_refused(case, tmp_path, monkeypatch):
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *a, **k: pytest.fail("Ghostscript is started"))
    data, said = BROKEN[case]
    refused(lambda: chosen(write(tmp_path / "x.png", data)), said)


def many(columns, rows):
    page = smooth(columns * 200, rows * 200).copy()
    for i in range(columns * rows):
        page.paste(astronaut().crop(HEAD), (200 * (i % columns), 200 * (i // columns)))
    return page


def cut(left, top, right, bottom):
    """The astronaut's picture cut there: the face reaches from 179 to 270 across, and from 61 to 178 down."""
    return astronaut().crop((left, top, right, bottom))


NO_FACE = {
    "one pixel": Image.new("RGB", (1, 1)),
    "a column": Image.new("RGB", (1, 5000), (90, 90, 90)),
    "a row": Image.new("RGB", (5000, 1), (90, 90, 90)),
    "two pixels": noise(2).crop((0, 0, 2, 1)),
    "black": Image.new("RGB", (300, 300)),
    "white": Image.new("L", (300, 200), 255),
    "clear": Image.new("RGBA", (300, 200), (200, 90, 90, 0)),
    "noise": noise(256),
    "colours": smooth(400, 300),
    "a face nobody sees": Image.merge("RGBA", (*astronaut().split(), Image.new("L", (512, 512)))),
    "no head": cut(0, 260, 512, 512),
    "a chin": cut(100, 150, 400, 512),
}


@pytest.mark.parametrize("case", NO_FACE)
def test_a_picture_without_a_face_says_so(case, tmp_path):
    path = write(tmp_path / "x.png", encoded("PNG", NO_FACE[case]))
    size = "x".join(map(str, NO_FACE[case].size))
    refused(lambda: chosen(path), "no face was found in the photo", f"({size} px)")


UNFIT = {
    "a tiny face": (astronaut().resize((40, 40)), "px high, and 64 px are needed"),
    "a small face": (astronaut().resize((230, 230), Image.Resampling.LANCZOS), "px high, and 64 px are needed"),
    "half a face": (cut(224, 0, 512, 512), "is cut off"),
    "a face without its chin": (cut(0, 0, 512, 135), "is cut off"),
    "a face without its forehead": (cut(0, 105, 512, 512), "is cut off"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_face_that_cannot_be_edited_says_why(case, tmp_path):
    picture, said = UNFIT[case]
    path = write(tmp_path / "x.png", encoded("PNG", picture))
    assert len(find_faces(read_photo(path))) == 1
    refused(lambda: chosen(path), said)
    refused(lambda: chosen(path, 1), "face 1 of 1", said)


def alpha(picture, level):
    picture = picture.copy()
    picture.putalpha(level)
    return picture


def sixteen_bits():
    return Image.fromarray(np.asarray(astronaut().convert("L")).astype(np.uint16) * 257)


def lab():
    srgb, space = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.profileToProfile(astronaut(), srgb, space, outputMode="LAB")


def on_its_side(turn, kind):
    """The picture as a camera stores it that was turned, and what it says of it."""
    exif = Image.Exif()
    exif[0x0112] = turn
    turns = {3: 2, 6: 1, 8: 3}
    return encoded(kind, astronaut().rotate(90 * turns[turn]), exif=exif, quality=95)


def spoiled_tags():
    return encoded("JPEG", astronaut(), quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")


def phone():
    file = io.BytesIO()
    astronaut().save(file, "MPO", save_all=True, append_images=[noise(64)], quality=95)
    return file.getvalue()


GREY = astronaut().convert("L")
# Name -> bytes, and how many faces are found.
GOOD = {
    "1": (encoded("PNG", astronaut().resize((1536, 1536)).convert("1")), 1),
    "L": (encoded("PNG", GREY), 1),
    "LA": (encoded("PNG", alpha(GREY, 255)), 1),
    "LA, half clear": (encoded("PNG", alpha(GREY, 128)), 1),
    "P": (encoded("PNG", astronaut().quantize(256)), 1),
    "P of 16": (encoded("PNG", astronaut().quantize(16)), 1),
    "P, GIF": (encoded("GIF", astronaut().quantize(256)), 1),
    "RGBA": (encoded("PNG", alpha(astronaut(), 255)), 1),
    "RGBA, half clear": (encoded("PNG", alpha(astronaut(), 150)), 1),
    "I;16": (encoded("PNG", sixteen_bits()), 1),
    "I;16, TIFF": (encoded("TIFF", sixteen_bits()), 1),
    "CMYK": (encoded("JPEG", astronaut().convert("CMYK"), quality=95), 1),
    "CMYK, TIFF": (encoded("TIFF", astronaut().convert("CMYK")), 1),
    "YCbCr": (encoded("JPEG", astronaut().convert("YCbCr"), quality=95), 1),
    "LAB": (encoded("TIFF", lab()), 1),
    "YCbCr, TIFF": (encoded("TIFF", astronaut().convert("YCbCr")), 1),
    **{kind: (encoded(kind, astronaut(), **LOSSLESS.get(kind, {})), 1) for kind in FORMATS},
    "progressive": (encoded("JPEG", astronaut(), progressive=True), 1),
    "interlaced": (encoded("PNG", astronaut(), interlace=1), 1),
    "quality 5": (encoded("JPEG", astronaut(), quality=5), 1),
    "a phone's": (phone(), 1),
    "adobe": (encoded("PNG", astronaut(), icc_profile=ADOBE), 1),
    "adobe, CMYK": (encoded("JPEG", astronaut().convert("CMYK"), icc_profile=ADOBE), 1),
    "a profile of junk": (encoded("PNG", astronaut(), icc_profile=b"junk" * 50), 1),
    "a grey profile": (encoded("PNG", GREY, icc_profile=LINEAR_GREY), 1),
    "a grey profile on colours": (encoded("PNG", astronaut(), icc_profile=LINEAR_GREY), 1),
    "tags of junk": (spoiled_tags(), 1),
    "turned by 90": (encoded("PNG", astronaut().rotate(90)), 1),
    "turned by 270": (encoded("PNG", astronaut().rotate(270)), 1),
    "upside down": (encoded("PNG", astronaut().rotate(180)), 1),
    "tags that turn it": (on_its_side(6, "JPEG"), 1),
    "tags that turn it, PNG": (on_its_side(8, "PNG"), 1),
    "tags that put it upright": (on_its_side(3, "JPEG"), 1),
    "mirrored": (encoded("PNG", ImageOps.mirror(astronaut())), 1),
    "very dark": (encoded("PNG", astronaut().point(lambda v: v // 4)), 1),
    "very pale": (encoded("PNG", astronaut().point(lambda v: 160 + v // 3)), 1),
    "close": (encoded("PNG", cut(150, 30, 300, 210)), 1),
    "two": (encoded("PNG", many(2, 1)), 2),
    "ten": (encoded("PNG", many(5, 2)), 10),
}


@pytest.mark.parametrize("case", GOOD)
def test_what_shows_a_face_is_read_whatever_its_mode(case, tmp_path):
    data, number = GOOD[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        photo = read_photo(write(tmp_path / "x.png", data))
        faces = find_faces(photo)
        assert len(faces) == number
        (face,) = choose(photo, None, faces)
    eyes, mouth = face.points[:2].mean(0), face.points[3:].mean(0)
    down = mouth - eyes
    turned = {"turned by 90": (1, 0), "turned by 270": (-1, 0), "upside down": (0, -1)}.get(case, (0, 1))
    assert down @ turned > 0.9 * np.linalg.norm(down), "the face is seen the right way up"


def test_there_are_sixty_cases_and_more():
    assert len(BROKEN) + len(NO_FACE) + len(UNFIT) + len(GOOD) >= 100
