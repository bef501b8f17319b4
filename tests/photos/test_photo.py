"""A photo as it is read: every pixel as the file has it, upright, and what is kept beside the pixels."""

import hashlib
import struct
import warnings
import zlib

import numpy as np
import pytest
from photo_cases import astronaut, photo_of, smooth
from picture_files import ADOBE, LINEAR_GREY, LOSSLESS, chunk, encoded, noise, write
from PIL import Image

from where2edit.files import picture_reading
from where2edit.photos.photo import own_colours, read_photo

CLEAR = np.linspace(0, 255, 512 * 512).reshape(512, 512).astype(np.uint8)


def with_alpha(picture):
    picture = picture.copy()
    picture.putalpha(Image.fromarray(CLEAR))
    return picture


def sixteen_bits():
    return Image.fromarray(np.asarray(astronaut().convert("L")).astype(np.uint16) * 257)


def clear_palette():
    picture = astronaut().quantize(32)
    picture.info["transparency"] = 3
    return picture


# Mode of the file -> picture, format; the pixels are those of Pillow's own plain conversion, to the bit.
EXACT = {
    "1": (lambda: astronaut().convert("1"), "PNG"),
    "L": (lambda: astronaut().convert("L"), "PNG"),
    "LA": (lambda: with_alpha(astronaut().convert("L")), "PNG"),
    "P": (lambda: astronaut().quantize(64), "PNG"),
    "P of a GIF": (lambda: astronaut().quantize(64), "GIF"),
    "P, a colour of it clear": (clear_palette, "PNG"),
    "RGB": (astronaut, "PNG"),
    "RGB, JPEG": (astronaut, "JPEG"),
    "RGB, WebP": (astronaut, "WEBP"),
    "RGB, TIFF": (astronaut, "TIFF"),
    "RGB, BMP": (astronaut, "BMP"),
    "RGBA": (lambda: with_alpha(astronaut()), "PNG"),
    "RGBA, TIFF": (lambda: with_alpha(astronaut()), "TIFF"),
}
# Modes that RGB of 8 bits does not say the same as.
CONVERTED = {
    "I;16": (sixteen_bits, "PNG", "mode 'I;16"),
    "I;16, TIFF": (sixteen_bits, "TIFF", "mode 'I;16"),
    "CMYK": (lambda: astronaut().convert("CMYK"), "TIFF", "mode 'CMYK'"),
    "CMYK, JPEG": (lambda: astronaut().convert("CMYK"), "JPEG", "mode 'CMYK'"),
}


def read_silently(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_photo(path)


@pytest.mark.parametrize("mode", EXACT)
def test_pixels_are_those_of_the_file(mode, tmp_path):
    make, kind = EXACT[mode]
    data = encoded(kind, make())
    path = write(tmp_path / "x.png", data)
    photo, stored = read_silently(path), Image.open(path)
    clear = "A" in mode or "clear" in mode
    stored = np.asarray(stored.convert("RGBA" if clear else "RGB"))
    assert photo.pixels.dtype == np.uint8 and np.array_equal(photo.pixels, stored[..., :3])
    assert np.array_equal(photo.alpha, stored[..., 3]) if clear else photo.alpha is None
    assert photo.profile is None and photo.size == (512, 512)
    assert photo.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("mode", CONVERTED)
def test_other_modes_become_rgb_of_8_bits_and_a_warning_says_so(mode, tmp_path):
    make, kind, said = CONVERTED[mode]
    path = write(tmp_path / "x.png", encoded(kind, make()))
    with pytest.warns(UserWarning, match=f"x.png is a picture with pixels of {said}.*as sRGB of 8 bits") as said:
        photo = read_photo(path)
    assert len(said) == 1 and photo.alpha is None and photo.profile is None
    expected = np.asarray(astronaut().convert("L" if mode[0] == "I" else "RGB").convert("RGB"), int)
    assert np.abs(photo.pixels - expected).mean() < 3


@pytest.mark.parametrize("colours, channels", [(2, 3), (6, 4)])
def test_16_bits_a_channel_become_8_and_a_warning_says_so(colours, channels, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65536, (20, 30, channels), np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", 30, 20, 16, colours, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    with pytest.warns(UserWarning, match="x.png is a picture with 16 bits a channel: .* as sRGB of 8 bits"):
        photo = read_photo(write(tmp_path / "x.png", data))
    assert np.array_equal(photo.pixels, pixels[..., :3] >> 8) and (photo.alpha is None) == (channels == 3)


def test_a_large_photo_keeps_every_pixel(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_reading, "KEPT_PIXELS", 100 * 50)
    path = write(tmp_path / "x.png", encoded("PNG", noise(300)))
    assert np.array_equal(read_photo(path).pixels, np.asarray(noise(300)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("turn, quarters", [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_a_photo_is_upright_as_its_camera_was_held(turn, quarters, kind, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = turn, "Maker"
    path = write(tmp_path / "x.png", encoded(kind, smooth(120, 80), exif=exif, **LOSSLESS.get(kind, {})))
    photo = read_photo(path)
    away = np.abs(photo.pixels.astype(int) - np.rot90(np.asarray(smooth(120, 80)), quarters))
    assert away.mean() < 4 if kind == "JPEG" else away.max() == 0
    assert photo.tags[0x010F] == "Maker"


def test_tags_that_cannot_be_read_do_not_hide_the_photo(tmp_path):
    for exif in (b"Exif\0\0", b"Exif\0\0junk" * 9, b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0MM\0*" + bytes(9)):
        assert read_photo(write(tmp_path / "x.jpg", encoded("JPEG", exif=exif))).size == (64, 64)


GREEN = (59, 200, 60)


@pytest.mark.parametrize("kind", ["RGB", "P", "RGBA"])
def test_a_photo_with_a_profile_keeps_its_colours_and_is_seen_in_srgb(kind, tmp_path):
    picture = Image.new("RGB", (64, 64), GREEN)
    picture = picture.quantize() if kind == "P" else picture.convert(kind)
    path = write(tmp_path / "x.png", encoded("PNG", picture, icc_profile=ADOBE))
    photo = read_silently(path)
    assert photo.profile == ADOBE and tuple(photo.pixels[5, 5]) == GREEN
    seen = photo.srgb((3, 4, 20, 9))
    assert seen.size == (17, 5) and np.abs(np.subtract(seen.getpixel((2, 2)), (0, 201, 37))).max() <= 3
    assert photo.srgb(photo.whole, (8, 4)).size == (8, 4)


def test_srgb_and_own_colours_are_each_other_s_inverse_for_what_both_have():
    grey = Image.new("RGB", (200, 100), (128, 128, 128))
    photo = photo_of(Image.blend(smooth(200, 100), grey, 0.7), profile=ADOBE)
    seen = np.asarray(photo.srgb(photo.whole))
    away = np.abs(own_colours(photo, seen).astype(int) - photo.pixels)
    assert away.max() < 12 and away.mean() < 1
    assert np.array_equal(own_colours(photo_of(smooth(200, 100)), seen), seen)


def test_grey_with_a_profile_of_its_own_becomes_srgb(tmp_path):
    path = write(tmp_path / "x.png", encoded("PNG", Image.new("L", (8, 8), 55), icc_profile=LINEAR_GREY))
    with pytest.warns(UserWarning, match="with a profile of its own: it is edited and written as sRGB of 8 bits"):
        photo = read_photo(path)
    assert np.abs(photo.pixels.astype(int) - 128).max() <= 3 and photo.profile is None


@pytest.mark.parametrize("profile", [b"junk" * 50, ADOBE[:200], LINEAR_GREY])
def test_a_profile_that_does_not_fit_is_ignored(profile, tmp_path):
    path = write(tmp_path / "x.png", encoded("PNG", Image.new("RGB", (8, 8), GREEN), icc_profile=profile))
    photo = read_silently(path)
    assert photo.profile is None and tuple(photo.pixels[1, 1]) == GREEN == photo.srgb(photo.whole).getpixel((1, 1))


def test_clear_parts_are_seen_white():
    photo = photo_of(Image.new("RGB", (10, 10), (255, 0, 0)), alpha=np.full((10, 10), 51, np.uint8))
    assert photo.srgb(photo.whole).getpixel((5, 5)) == (255, 204, 204) and tuple(photo.pixels[5, 5]) == (255, 0, 0)
