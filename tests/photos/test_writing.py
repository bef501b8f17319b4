"""A photo written back: what a reader finds again, and what is left out."""

import numpy as np
import pytest
from photo_cases import astronaut, photo_of
from picture_files import ADOBE, encoded, write
from PIL import ExifTags, Image

from where2edit.photos.photo import read_photo
from where2edit.photos.writing import write_photo

Tag = ExifTags.Base
SECRET = b"thumbnail of the face"


def tags(**more):
    """Tags of a phone: who, when and where, with maker's notes, on its side."""
    exif = Image.Exif()
    exif[Tag.Make], exif[Tag.Orientation], exif[Tag.XResolution] = "Maker", 6, 72.0
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {Tag.ExposureTime: 0.01, Tag.MakerNote: b"notes" * 9, Tag.ExifImageWidth: 512, Tag.ExifImageHeight: 300}
    )
    exif[ExifTags.IFD.Exif] = dict(exif.get_ifd(ExifTags.IFD.Exif))
    gps = {1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0)}
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps)
    exif[ExifTags.IFD.GPSInfo] = gps
    return exif


def phone_photo(tmp_path, kind="JPEG"):
    picture = astronaut().crop((0, 0, 512, 300))
    return read_photo(write(tmp_path / "in", encoded(kind, picture, exif=tags().tobytes(), icc_profile=ADOBE)))


def test_a_png_gives_every_pixel_back(tmp_path):
    photo = phone_photo(tmp_path)
    again = read_photo(write_photo(photo, tmp_path / "a" / "x.png"))
    assert np.array_equal(again.pixels, photo.pixels) and again.profile == ADOBE and again.size == (300, 512)


def test_the_same_photo_gives_the_same_bytes(tmp_path):
    photo = phone_photo(tmp_path)
    assert write_photo(photo, tmp_path / "x.png").read_bytes() == write_photo(photo, tmp_path / "y.png").read_bytes()


@pytest.mark.parametrize("name", ["x.jpg", "x.jpeg", "x.JPG"])
def test_a_jpeg_is_close_to_it(name, tmp_path):
    photo = phone_photo(tmp_path)
    path = write_photo(photo, tmp_path / name)
    assert Image.open(path).format == "JPEG"
    again = read_photo(path)
    assert np.abs(again.pixels.astype(int) - photo.pixels).mean() < 2 and again.profile == ADOBE


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
def test_tags_are_kept_without_place_and_maker_s_notes(name, kind, tmp_path):
    path = write_photo(phone_photo(tmp_path, kind), tmp_path / name)
    with Image.open(path) as written:
        found = written.getexif()
        inner = found.get_ifd(ExifTags.IFD.Exif)
        assert found[Tag.Make] == "Maker" and Tag.Orientation not in found
        assert not found.get_ifd(ExifTags.IFD.GPSInfo) and ExifTags.IFD.GPSInfo not in found
        assert float(inner[Tag.ExposureTime]) == pytest.approx(0.01) and Tag.MakerNote not in inner
        assert (inner[Tag.ExifImageWidth], inner[Tag.ExifImageHeight]) == (300, 512)
        assert Tag.StripOffsets not in found and Tag.ImageWidth not in found
    assert b"notesnotes" not in path.read_bytes()


def test_place_and_maker_s_notes_are_kept_when_they_are_asked_for(tmp_path):
    path = write_photo(phone_photo(tmp_path), tmp_path / "x.png", keep_metadata=True)
    with Image.open(path) as written:
        found = written.getexif()
        assert found.get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"
        assert found.get_ifd(ExifTags.IFD.GPSInfo)[2] == (48.0, 51.0, 30.0)
        assert found.get_ifd(ExifTags.IFD.Exif)[Tag.MakerNote] == b"notes" * 9 and Tag.Orientation not in found


def test_the_thumbnail_is_left_out(tmp_path):
    """It shows the face as it was."""
    exif = bytearray(tags().tobytes())
    exif += SECRET
    path = write(tmp_path / "in.jpg", encoded("JPEG", astronaut(), exif=bytes(exif)))
    assert SECRET in path.read_bytes()
    for keep in (False, True):
        assert SECRET not in write_photo(read_photo(path), tmp_path / "x.jpg", keep).read_bytes()


def test_a_photo_without_tags_gets_none(tmp_path):
    path = write_photo(photo_of(astronaut()), tmp_path / "x.png")
    assert not dict(Image.open(path).getexif()) and set(Image.open(path).info) == set()


def test_alpha_is_kept(tmp_path):
    alpha = np.tile(np.arange(256, dtype=np.uint8), (512, 2))
    path = write_photo(photo_of(astronaut(), alpha=alpha), tmp_path / "x.png")
    again = read_photo(path)
    assert np.array_equal(again.alpha, alpha) and np.array_equal(again.pixels, np.asarray(astronaut()))


def test_a_jpeg_cannot_hold_alpha_and_says_so(tmp_path):
    photo = photo_of(astronaut(), alpha=np.zeros((512, 512), np.uint8))
    with pytest.raises(ValueError, match=r"has an alpha channel, which a JPEG cannot hold; let .* end in \.png"):
        write_photo(photo, tmp_path / "x.jpg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x", "x.webp", "x.tif", "x.png.txt", "x." + "y" * 200])
def test_other_endings_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="a photo is written as .png, or as .jpg") as error:
        write_photo(photo_of(astronaut()), tmp_path / name)
    assert len(str(error.value)) <= 300


def test_tags_of_the_wrong_kind_do_not_stop_the_photo(tmp_path):
    photo = photo_of(astronaut())
    photo.tags[Tag.XResolution] = "seventy-two"
    photo.tags[Tag.Make] = object()
    assert read_photo(write_photo(photo, tmp_path / "x.png")).size == (512, 512)
