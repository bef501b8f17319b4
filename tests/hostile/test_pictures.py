"""Pictures from outside, through the one door: what is no whole, plausible picture is refused in one sentence."""

import random
import sys
import time
import warnings

import numpy as np
import pytest
import torch
from picture_files import ADOBE, HUGE, LINEAR_GREY, LOSSLESS, OTHERS, encoded, noise, painted, write
from PIL import EpsImagePlugin, Image
from special_files import IMPOSSIBLE, SPECIAL, refused

from where2edit.commands import cli
from where2edit.editor.recipes import RecipeStep, input_digests
from where2edit.files import labels, picture_reading
from where2edit.files.mask_reading import read_mask
from where2edit.files.picture_reading import FORMATS, read_picture
from where2edit.files.pictures import load_image, sheet

READERS = {
    "picture": read_picture,
    "image": load_image,
    "mask": lambda path: read_mask(path, 64),
    "reference of a step": lambda path: RecipeStep("x", reference=str(path)).load(64),
    "mask of a step": lambda path: RecipeStep("x", mask=str(path)).load(64),
    "input of a recipe": lambda path: input_digests({"mask": str(path)}),
}
DECODERS = {name: read for name, read in READERS.items() if name in ("picture", "mask")}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", SPECIAL)
def test_what_is_no_file_is_refused_at_once(case, reader, tmp_path):
    make, said = SPECIAL[case]
    make(tmp_path / "x.png")
    begin = time.process_time()
    refused(lambda: READERS[reader](tmp_path / "x.png"), said)
    assert time.process_time() - begin < 1


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_no_file_can_be_called_is_refused(case, reader):
    refused(lambda: READERS[reader](IMPOSSIBLE[case]), "at")


@pytest.mark.parametrize("reader", DECODERS)
@pytest.mark.parametrize("kind", OTHERS)
def test_other_content_is_refused_whatever_its_name(kind, reader, tmp_path, monkeypatch):
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *a, **k: pytest.fail("Ghostscript is started"))
    for name in ("x.png", "x.eps", "x"):
        path = write(tmp_path / name, OTHERS[kind])
        refused(lambda path=path: DECODERS[reader](path), name, "PNG, JPEG, WebP, TIFF, BMP or GIF")


@pytest.mark.parametrize("kind", FORMATS)
def test_six_formats_are_read_by_their_content(kind, tmp_path):
    data = encoded(kind, **LOSSLESS.get(kind, {}))
    for name in ("x.png", "x.jpg", "x.txt", "x"):
        picture = read_picture(write(tmp_path / name, data))
        assert picture.mode == "RGB" and picture.size == (64, 64)
        away = np.abs(np.asarray(picture, int) - np.asarray(painted().convert("RGB"), int))
        assert away.mean() < 3 if kind == "JPEG" else away.max() == 0


@pytest.mark.parametrize("reader", DECODERS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_that_breaks_off_is_refused(kind, share, reader, tmp_path):
    data = encoded(kind, noise())
    path = write(tmp_path / "x.png", data[: int(len(data) * share)])
    refused(lambda: DECODERS[reader](path), "x.png cannot be read as a")


@pytest.mark.parametrize("missing", [8, 12, 13, 16, 20])
def test_a_png_without_its_end_is_refused(missing, tmp_path):
    path = write(tmp_path / "x.png", encoded("PNG")[:-missing])
    for read in DECODERS.values():
        refused(lambda read=read: read(path), "cannot be read as a")


def test_a_flipped_bit_of_a_png_is_seen(tmp_path):
    data = encoded("PNG")
    for place in range(8, len(data) - 12, 7):
        flipped = bytearray(data)
        flipped[place] ^= 4
        refused(lambda flipped=flipped: read_picture(write(tmp_path / "x.png", flipped)), "x.png cannot be read")


@pytest.mark.parametrize("reader", DECODERS)
@pytest.mark.parametrize("case", HUGE)
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(case, reader, tmp_path, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("pixels are decoded"))
    refused(lambda: DECODERS[reader](write(tmp_path / "x.png", HUGE[case])), "x.png cannot be read as a")


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_what_moves_is_refused(kind, tmp_path):
    path = write(tmp_path / "x.png", encoded(kind, save_all=True, append_images=[noise(mode="L")]))
    refused(lambda: read_picture(path), "holds several pictures")


def test_the_first_picture_of_a_phone_s_photo_is_read(tmp_path):
    first, second = Image.new("RGB", (32, 32), (200, 10, 10)), Image.new("RGB", (16, 16))
    path = write(tmp_path / "x.jpg", encoded("MPO", first, save_all=True, append_images=[second]))
    assert read_picture(path).size == (32, 32)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_large_picture_is_shrunk_while_it_is_read(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(picture_reading, "KEPT_PIXELS", 100 * 50)
    path = write(tmp_path / "x.png", encoded(kind, Image.new("RGB", (1000, 500), (10, 200, 90))))
    drafts = []
    load = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda self: drafts.append(self.size) or load(self))
    picture = read_picture(path)
    assert picture.size == (100, 50)
    assert np.abs(np.asarray(picture, int) - (10, 200, 90)).max() < 8
    # A JPEG of ten times the size is decoded at an eighth of it.
    assert kind != "JPEG" or (125, 63) in drafts


def test_commands_say_in_their_own_words_what_is_wrong_with_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 40)  # Pillow warns of bombs
    path = write(tmp_path / "x.png", encoded("PNG"))

    def command(text):
        assert read_picture(path).size == (64, 64)
        warnings.warn("a mask was resized", stacklevel=1)

    with warnings.catch_warnings(), pytest.raises(SystemExit) as end:
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
        monkeypatch.setattr(warnings, "showwarning", shown_on_stderr)
        cli.run_command(command, "")
    assert end.value.code == 0 and capsys.readouterr().err == "warning: a mask was resized\n"


def shown_on_stderr(message, category, filename, lineno, file=None, line=None):
    """What Python does with a warning outside of pytest."""
    sys.stderr.write(warnings.formatwarning(message, category, filename, lineno))


MODES = {
    "1": (Image.new("1", (4, 4), 1), "PNG", (255, 255, 255)),
    "L": (Image.new("L", (4, 4), 77), "PNG", (77, 77, 77)),
    "LA": (Image.new("LA", (4, 4), (0, 0)), "PNG", (255, 255, 255)),
    "half clear": (Image.new("LA", (4, 4), (0, 51)), "PNG", (204, 204, 204)),
    "P": (Image.new("RGB", (4, 4), (9, 8, 7)).quantize(), "PNG", (9, 8, 7)),
    "RGBA": (Image.new("RGBA", (4, 4), (255, 0, 0, 255)), "WEBP", (255, 0, 0)),
    "I;16": (Image.fromarray(np.full((4, 4), 32896, np.uint16)), "PNG", (128, 128, 128)),
    "I;16 of a TIFF": (Image.fromarray(np.full((4, 4), 65535, np.uint16)), "TIFF", (255, 255, 255)),
    "CMYK": (Image.new("CMYK", (4, 4), (0, 0, 0, 0)), "JPEG", (255, 255, 255)),
    "YCbCr": (Image.new("YCbCr", (4, 4), (128, 128, 128)), "JPEG", (128, 128, 128)),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_rgb(mode, tmp_path):
    picture, kind, colour = MODES[mode]
    read = read_picture(write(tmp_path / "x", encoded(kind, picture)))
    assert read.mode == "RGB" and np.abs(np.subtract(read.getpixel((1, 2)), colour)).max() <= 2


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_without_a_known_range_are_refused(mode, tmp_path):
    path = write(tmp_path / "x", encoded("TIFF", Image.new(mode, (4, 4))))
    refused(lambda: read_picture(path), "without a known range; save it with 8 bits")


GREEN = (59, 200, 60)
PROFILES = {
    "adobe, PNG": ("PNG", Image.new("RGB", (8, 8), GREEN), ADOBE, (0, 201, 37)),
    "adobe, JPEG": ("JPEG", Image.new("RGB", (8, 8), GREEN), ADOBE, (0, 201, 37)),
    "adobe, WebP": ("WEBP", Image.new("RGB", (8, 8), GREEN), ADOBE, (0, 201, 37)),
    "adobe, TIFF": ("TIFF", Image.new("RGB", (8, 8), GREEN), ADOBE, (0, 201, 37)),
    "adobe, clear": ("PNG", Image.new("RGBA", (8, 8), (*GREEN, 0)), ADOBE, (255, 255, 255)),
    "adobe, opaque": ("PNG", Image.new("RGBA", (8, 8), (*GREEN, 255)), ADOBE, (0, 201, 37)),
    "adobe, palette": ("PNG", Image.new("RGB", (8, 8), GREEN).quantize(), ADOBE, (0, 201, 37)),
    "linear grey": ("PNG", Image.new("L", (8, 8), 55), LINEAR_GREY, (128, 128, 128)),
    "no profile": ("PNG", Image.new("RGB", (8, 8), GREEN), None, GREEN),
    "junk": ("PNG", Image.new("RGB", (8, 8), GREEN), b"junk" * 50, GREEN),
    "half a profile": ("PNG", Image.new("RGB", (8, 8), GREEN), ADOBE[:200], GREEN),
    "of another kind": ("PNG", Image.new("RGB", (8, 8), GREEN), LINEAR_GREY, GREEN),
    "of colours on grey": ("PNG", Image.new("L", (8, 8), 60), ADOBE, (60, 60, 60)),
}


@pytest.mark.parametrize("case", PROFILES)
def test_colours_are_what_their_profile_says(case, tmp_path):
    kind, picture, profile, colour = PROFILES[case]
    options = {"quality": 98, "icc_profile": profile} if profile else {}
    if kind == "WEBP":
        options["lossless"] = True
    read = read_picture(write(tmp_path / "x", encoded(kind, picture, **options)))
    assert np.abs(np.subtract(read.getpixel((4, 4)), colour)).max() <= 3
    again = load_image(write(tmp_path / "y.png", encoded("PNG", read)))
    shown = (again[0, :, 4, 4] + 1) * 127.5
    assert np.abs(np.subtract(shown.round().tolist(), colour)).max() <= 3, "a profile is applied once"


TURNS = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).transpose(1, 0, 2),
    8: lambda x: np.rot90(x, 1),
}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("turn", TURNS)
def test_a_picture_is_upright_as_its_camera_was_held(turn, kind, tmp_path):
    picture = Image.fromarray(np.asarray(noise(12))[:5])
    exif = Image.Exif()
    exif[0x0112] = turn
    path = write(tmp_path / "x", encoded(kind, picture, exif=exif, **LOSSLESS.get(kind, {})))
    assert np.array_equal(np.asarray(read_picture(path)), TURNS[turn](np.asarray(picture)))


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0junk" * 9, b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0MM\0*" + bytes(9)]
)
def test_tags_that_cannot_be_read_do_not_hide_the_picture(exif, tmp_path):
    assert read_picture(write(tmp_path / "x", encoded("JPEG", exif=exif))).size == (64, 64)


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_files_are_read_or_refused_and_nothing_else(kind, tmp_path):
    draw, whole = random.Random(kind), encoded(kind, noise(16))
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 8)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path = write(tmp_path / "x.png", data)
        try:
            assert read_picture(path).mode == "RGB"
        except ValueError as error:
            sentence = str(error)
            refused(lambda sentence=sentence: (_ for _ in ()).throw(ValueError(sentence)), "x.png")


TEXTS = {
    "English": "a big smile",
    "French": "des lunettes dorées",
    "Polish": "żółte włosy",
    "Turkish": "gülümseyen yüz",
    "Vietnamese": "tóc vàng óng ả",
    "Greek": "ξανθά μαλλιά",
    "Russian": "светлые волосы",
    "Hebrew": "שיער בלונדיני",
    "Arabic": "شعر أشقر",
    "Chinese": "金发",
    "Japanese": "ブロンドの髪",
    "Korean": "금발 머리",
    "Hindi": "सुनहरे बाल",
    "Thai": "ผมสีบลอนด์",
    "mixed": "blond 金发 hair",
    "emoji": "a smile 😀",
    "family": "👨‍👩‍👧",
    "undecodable": "a \udcff beard",
    "control": "a\x01\x7f beard",
    "zero width": "a\u200bbeard\ufeff",
    "typography": "\u201ca beard\u201d \u2013 5\u00a0\u20ac\u2026",
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_label_is_drawn_in_letters_that_its_font_has(text):
    drawn = labels.label(TEXTS[text], 18, 150)
    absent = labels._pixels(labels.ABSENT, drawn.font)
    assert all(labels._pixels(letter, drawn.font) != absent for letter in set(drawn.text) - {"\n", " "})
    spelled = "\\" in drawn.text
    assert spelled == (text in ("Chinese", "Japanese", "Korean", "Hindi", "Thai", "mixed", "family",
                                "undecodable", "control"))  # fmt: skip
    if not spelled:
        assert drawn.text.split() == TEXTS[text].split()
    page = sheet([[torch.zeros(3, 8, 8)]], [TEXTS[text]], [TEXTS[text]], 64)
    assert min(page.size) >= 64


LONG = {
    "Chinese": "微笑" * 2500,
    "letters": "x" * 3000,
    "words": "hair " * 5000,
    "lines": "a\n" * 5000,
    "wide": "W" * 10**6,
}


@pytest.mark.parametrize("text", LONG)
def test_a_long_label_takes_no_time_and_not_the_whole_page(text):
    begin = time.process_time()
    page = sheet([[torch.zeros(3, 8, 8)]], [LONG[text]], [LONG[text]], 160)
    assert time.process_time() - begin < 3 and max(page.size) < 2500


@pytest.mark.parametrize("width", [1, 5, 40, 300])
def test_lines_are_as_full_as_if_every_letter_was_tried(width):
    font, draw = labels.plain_font(14), random.Random(width)
    word = "".join(draw.choice("iWmx.l") for _ in range(300))
    lines = labels.wrap(word, font, width)
    assert "".join(lines) == word
    for line, following in zip(lines[:-1], lines[1:], strict=True):
        assert len(line) == 1 or font.getlength(line) <= width
        assert font.getlength(line + following[0]) > width
