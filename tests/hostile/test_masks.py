"""Masks as people bring them: whatever tool painted it, the same box is edited, or one sentence says why not."""

import io
import sys

import numpy as np
import pytest
import torch
import toy_cases as toy
from PIL import Image
from special_files import refused

from where2edit.commands import cli
from where2edit.commands import edit as edits
from where2edit.core.records import Certificate
from where2edit.editor.editor import Editor
from where2edit.editor.profile import load_profile
from where2edit.editor.steps import Step
from where2edit.files.mask_reading import mask_of, read_mask

SIZE = 64
INSIDE = (slice(16, 40), slice(8, 48))
BOX = np.zeros((SIZE, SIZE), bool)
BOX[INSIDE] = True


def levels(black, white, kind=np.uint8):
    return Image.fromarray(np.where(BOX, white, black).astype(kind))


def layers(colour, alpha, below=0, clear=0):
    """RGBA: a box of one colour, over pixels of level `below` and alpha `clear`."""
    pixels = np.zeros((SIZE, SIZE, 4), np.uint8)
    pixels[...] = (below, below, below, clear)
    pixels[INSIDE] = (*colour, alpha)
    return Image.fromarray(pixels)


def coloured(colour, below=(0, 0, 0)):
    return Image.fromarray(np.where(BOX[..., None], colour, below).astype(np.uint8))


def palette(*colours, values=None):
    picture = Image.fromarray((BOX if values is None else values).astype(np.uint8), "P")
    picture.putpalette([level for colour in colours for level in colour])
    return picture


def noisy(black, white, by):
    draw = np.random.default_rng(0)
    return Image.fromarray(
        np.clip(np.where(BOX, white, black) + draw.normal(0, by, BOX.shape), 0, 255).astype(np.uint8)
    )


def swapped():
    """Index 0 is white and index 1 black, as some tools order what they quantise."""
    return palette((255, 255, 255), (0, 0, 0), values=~BOX)


def transparent_palette():
    picture = palette((0, 0, 0), (255, 255, 255))
    picture.info["transparency"] = 0
    return picture


# Every picture shows the same box.
SAME = {
    "black and white": (levels(0, 255), "PNG"),
    "one bit": (levels(0, 255).convert("1"), "PNG"),
    "one bit, BMP": (levels(0, 255).convert("1"), "BMP"),
    "one bit, TIFF": (levels(0, 255).convert("1"), "TIFF"),
    "one bit, GIF": (levels(0, 255).convert("1"), "GIF"),
    "colour mode": (levels(0, 255).convert("RGB"), "PNG"),
    "opaque": (levels(0, 255).convert("RGBA"), "PNG"),
    "opaque LA": (levels(0, 255).convert("LA"), "WEBP"),
    "white on clear": (layers((255, 255, 255), 255), "PNG"),
    "white on clear white": (layers((255, 255, 255), 255, below=255), "PNG"),
    "white on clear, LA": (layers((255, 255, 255), 255).convert("LA"), "PNG"),
    "white on clear, WebP": (layers((255, 255, 255), 255), "WEBP"),
    "white on clear, TIFF": (layers((255, 255, 255), 255), "TIFF"),
    "black on clear": (layers((0, 0, 0), 255), "PNG"),
    "black on clear white": (layers((0, 0, 0), 255, below=255), "PNG"),
    "red on clear": (layers((230, 20, 30), 255), "PNG"),
    "white on opaque black": (layers((255, 255, 255), 255, clear=255), "PNG"),
    "white on half-clear black": (layers((255, 255, 255), 255, clear=160), "PNG"),
    "clear as everywhere": (layers((255, 255, 255), 90, clear=90), "PNG"),
    "clear index of a palette": (transparent_palette(), "PNG"),
    "clear index of a GIF": (transparent_palette(), "GIF"),
    "almost black": (levels(3, 255), "PNG"),
    "dark grey for black": (levels(30, 255), "PNG"),
    "video range": (levels(16, 235), "PNG"),
    "video range, JPEG": (levels(16, 235), "JPEG"),
    "off white": (levels(0, 240), "PNG"),
    "noisy black": (noisy(5, 255, 3), "PNG"),
    "noise on both": (noisy(10, 245, 3), "PNG"),
    "labels 0 and 1": (levels(0, 1), "PNG"),
    "labels 0 and 13": (levels(0, 13), "PNG"),
    "labels 1 and 2": (levels(1, 2), "PNG"),
    "labels 0 and 1, colour mode": (levels(0, 1).convert("RGB"), "PNG"),
    "labels 0 and 1, 16 bits": (levels(0, 1, np.uint16), "PNG"),
    "labels 0 and 1, 32 bits": (levels(0, 1, np.int32), "TIFF"),
    "0 and 255, 16 bits": (levels(0, 255, np.uint16), "PNG"),
    "16 bits": (levels(0, 65535, np.uint16), "PNG"),
    "16 bits, TIFF": (levels(700, 65535, np.uint16), "TIFF"),
    "32 bits": (levels(0, 255, np.int32), "TIFF"),
    "numbers from 0 to 1": (levels(0, 1, np.float32), "TIFF"),
    "numbers from 0.02 to 0.97": (levels(0.02, 0.97, np.float32), "TIFF"),
    "numbers to 255": (levels(0, 255, np.float32), "TIFF"),
    "VOC's palette": (palette((0, 0, 0), (128, 0, 0)), "PNG"),
    "dark blue of a palette": (palette((0, 0, 0), (0, 0, 128)), "PNG"),
    "grey palette": (palette((0, 0, 0), (255, 255, 255)), "PNG"),
    "grey palette of labels": (palette((0, 0, 0), (1, 1, 1)), "PNG"),
    "swapped palette": (swapped(), "PNG"),
    "red on black": (coloured((255, 0, 0)), "PNG"),
    "red on black, JPEG": (coloured((255, 0, 0)), "JPEG"),
    "yellow on almost black": (coloured((250, 240, 20), (4, 4, 6)), "PNG"),
    "dark blue on black": (coloured((0, 0, 60)), "PNG"),
    "blue on black": (coloured((0, 0, 255)), "PNG"),
    "CMYK": (levels(0, 255).convert("RGB").convert("CMYK"), "TIFF"),
    "twice the size": (levels(0, 255).resize((128, 128)), "PNG"),
    "half the size": (levels(0, 255).resize((32, 32), Image.Resampling.BOX), "PNG"),
    "labels of twice the size": (levels(0, 1).resize((128, 128), Image.Resampling.NEAREST), "PNG"),
    "almost square": (levels(0, 255).resize((192, 190)), "PNG"),
    **{f"JPEG, quality {q}": (levels(0, 255), {"format": "JPEG", "quality": q}) for q in (10, 30, 50, 75, 90, 100)},
    **{f"WebP, quality {q}": (levels(0, 255), {"format": "WEBP", "quality": q}) for q in (10, 50, 90)},
}


def saved(picture, path, options):
    options = (
        {"format": options, **({"lossless": True} if options == "WEBP" else {})}
        if isinstance(options, str)
        else options
    )
    picture.save(path, **options)
    return path


@pytest.mark.filterwarnings("ignore:the mask .* is resized")
@pytest.mark.parametrize("case", SAME)
def test_a_painted_box_is_the_mask_however_it_is_saved(case, tmp_path):
    picture, options = SAME[case]
    mask = read_mask(saved(picture, tmp_path / "mask", options), SIZE)
    assert mask.shape == (1, 1, SIZE, SIZE) and mask.dtype == torch.float32
    values = mask[0, 0].numpy()
    lossy = (
        options in ("JPEG",)
        or isinstance(options, dict)
        or case in ("almost square", "twice the size")
        or "nois" in case
    )
    # JPEG smears the rim of the box by some pixels.
    rim = np.zeros_like(BOX) if not lossy else np.abs(np.gradient(BOX.astype(float))).sum(0) > 0
    for _ in range(7 if lossy else 0):
        rim = rim | np.roll(rim, 1, 0) | np.roll(rim, -1, 0) | np.roll(rim, 1, 1) | np.roll(rim, -1, 1)
    least = 0.85 if lossy else 0.97
    assert values[BOX & ~rim].min() >= least and values.max() <= 1
    assert values[~BOX & ~rim].max() == 0, "what is not painted is edited"


def test_paint_that_is_half_clear_edits_by_half():
    mask = mask_of(layers((255, 255, 255), 128), SIZE, "it")
    assert mask.max().item() == pytest.approx(128 / 255) and mask[0, 0, 0, 0] == 0


@pytest.mark.parametrize("white, share", [(51, "20%"), (128, "50%"), (200, "78%")])
def test_grey_edits_by_a_share_and_a_warning_says_so(white, share):
    with pytest.warns(UserWarning, match=f"it edits by {share} at most: white edits by 100%"):
        mask = mask_of(levels(0, white), SIZE, "it")
    assert mask.max().item() == pytest.approx(white / 255)


SOFT = {
    "radial": np.clip(255 - np.hypot(*np.mgrid[-32:32, -32:32]) * 8, 0, 255),
    "linear": np.tile(np.linspace(0, 255, SIZE), (SIZE, 1)),
    "feathered": np.clip((28 - np.hypot(*np.mgrid[-32:32, -32:32])) * 25, 0, 255),
}


@pytest.mark.parametrize("quality", [None, 75, 95])
@pytest.mark.parametrize("kind", SOFT)
def test_soft_masks_stay_soft(kind, quality):
    picture = Image.fromarray(SOFT[kind].astype(np.uint8))
    if quality:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        picture = Image.open(file)
    values = mask_of(picture, SIZE, "it")[0, 0].numpy()
    expected = np.where(SOFT[kind] < 25.5, 0, SOFT[kind] / 255)
    assert np.abs(values - expected).mean() < 0.02 and ((values > 0.1) & (values < 0.9)).mean() > 0.05


@pytest.mark.parametrize("size", [1, 16, 63, 65, 200, 1000])
def test_another_size_is_resized_and_a_warning_says_so(size):
    with pytest.warns(UserWarning, match=f"it has {size}x{size} px and is resized to 64x64"):
        assert mask_of(Image.new("L", (size, size), 255), SIZE, "it").eq(1).all()


def photo(mode="RGB", background=None):
    """Blurred noise of many colours, as a photograph has; with `background`, a round part of it on one colour."""
    draw = np.random.default_rng(1)
    pixels = draw.integers(0, 256, (24, 24, 3), np.uint8)
    picture = Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    if background is not None:
        pixels = np.asarray(picture).copy()
        pixels[np.hypot(*np.mgrid[-32:32, -32:32]) > 28] = background
        picture = Image.fromarray(pixels)
    return picture.convert(mode)


def hole():
    """A photograph with a clear hole, in which other tools edit."""
    picture = photo("RGBA")
    picture.putalpha(Image.fromarray(np.where(BOX, 0, 255).astype(np.uint8)))
    return picture


def labels(*values):
    pixels = np.zeros((SIZE, SIZE), np.uint8)
    for i, value in enumerate(values):
        pixels[8 * i : 8 * i + 8] = value
    return pixels


def three(*colours):
    return palette((0, 0, 0), *colours, values=labels(*range(1, len(colours) + 1)))


def clear():
    return Image.new("RGBA", (SIZE, SIZE), (255, 255, 255, 0))


def dotted(colour, below):
    pixels = np.broadcast_to(below, (SIZE, SIZE, 3)).astype(np.uint8).copy()
    pixels[2:7, 2:7] = colour
    return Image.fromarray(pixels)


REFUSED = {
    "black": (Image.new("L", (SIZE, SIZE)), "is black everywhere, so that nothing would be edited; white is edited"),
    "black of one bit": (Image.new("1", (SIZE, SIZE)), "is black everywhere"),
    "black in colour mode": (Image.new("RGB", (SIZE, SIZE)), "is black everywhere"),
    "almost black": (Image.new("L", (SIZE, SIZE), 3), "is black everywhere"),
    "video black": (Image.new("L", (SIZE, SIZE), 16), "is black everywhere"),
    "noisy black": (noisy(1, 1, 0.6), "is black everywhere"),
    "clear": (clear(), "is black everywhere"),
    "opaque black": (Image.new("RGBA", (SIZE, SIZE), (0, 0, 0, 255)), "is black everywhere"),
    "black of 16 bits": (Image.fromarray(np.zeros((SIZE, SIZE), np.uint16)), "is black everywhere"),
    "black of numbers": (Image.new("F", (SIZE, SIZE)), "is black everywhere"),
    "black palette": (palette((0, 0, 0), (0, 0, 0)), "is black everywhere"),
    "photograph": (photo(), "has several colours, as a photograph or a map of several labels has; paint one mask"),
    "photograph on white": (photo(background=(255, 255, 255)), "has several colours"),
    "photograph on black": (photo(background=(0, 0, 0)), "has several colours"),
    "opaque photograph": (photo("RGBA"), "has several colours"),
    "palette of a photograph": (photo().quantize(64), "has several colours"),
    "grey photograph": (photo("L"), "looks like a photograph; paint a mask, white is edited, black is kept"),
    "grey photograph on black": (photo("L", background=(0, 0, 0)), "looks like a photograph"),
    "photograph with a hole": (hole(), "has several colours"),
    "labels 0 to 3": (Image.fromarray(labels(1, 2, 3)), "black everywhere"),
    "labels 0 to 18": (Image.fromarray(labels(1, 5, 12, 18)), "from 0 to 18 of 255 only, black or a map of several"),
    "labels of colours": (three((128, 0, 0), (0, 128, 0), (128, 128, 0)), "a map of several labels"),
    "labels of strokes": (three((255, 0, 0), (0, 0, 255)).convert("RGB"), "a map of several labels"),
    "red on white": (coloured((255, 0, 0), (255, 255, 255)), "has several colours"),
    "little red on white": (dotted((255, 0, 0), (255, 255, 255)), "has several colours"),
    "red and white on black": (dotted((255, 0, 0), np.where(BOX[..., None], 255, 0)), "has several colours"),
    "wide": (
        Image.new("L", (SIZE, SIZE // 2), 255),
        "is 64x32 px; it must have the output's size, 64x64, or its shape",
    ),
    "tall": (Image.new("L", (40, 48), 255), "is 40x48 px"),
    "line": (Image.new("L", (1, SIZE), 255), "is 1x64 px"),
    "negative": (Image.fromarray(np.where(BOX, 5, -5).astype(np.int32)), "from -5 to 5; save it with 8 bits"),
    "not a number": (Image.fromarray(np.where(BOX, np.nan, 0).astype(np.float32)), "save it with 8 bits"),
    "infinite": (Image.fromarray(np.where(BOX, np.inf, 0).astype(np.float32)), "save it with 8 bits"),
    "large numbers": (Image.fromarray(np.where(BOX, 10**6, 0).astype(np.int32)), "save it with 8 bits"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_mask_is_refused_and_the_file_is_named(case, tmp_path):
    picture, said = REFUSED[case]
    path = tmp_path / "mine"
    picture.save(path, "TIFF" if picture.mode in "IF" else "PNG")
    refused(lambda: read_mask(path, SIZE), "mine", said)
    refused(lambda: mask_of(picture, SIZE, "the mask picture"), "the mask picture", said)


def certificate(**changes):
    facts = {"mask_area": 0.5, "halo": 3, "allowed_area": 0.6, "changed": 0.4, "leak_max": 0.0, "leak_mean": 0.0}
    return Certificate(**(facts | changes))


@pytest.mark.parametrize(
    "changes, whole",
    [
        ({}, False),
        ({"mask_area": 0.95, "allowed_area": 0.99}, False),
        ({"mask_area": 0.951, "allowed_area": 0.99}, True),
        ({"mask_area": 1, "allowed_area": 1}, True),
        ({"mask_area": 0.9, "allowed_area": 1}, True),
        ({"mask_area": 0}, False),
    ],
)
def test_a_certificate_that_proves_nothing_says_so(changes, whole):
    assert certificate(**changes).whole == whole


CONFIG = str(toy.ROOT / "configs/toy.yaml")


@pytest.fixture(scope="module")
def editor(tmp_path_factory):
    weights = toy.lively_editor(tmp_path_factory.mktemp("editor") / "editor.safetensors")
    return Editor(load_profile(CONFIG), "cpu", str(weights))


@pytest.fixture
def run(monkeypatch, capsys, editor, tmp_path):
    """Call scripts/edit.py in this process: (exit code, stdout, stderr)."""
    monkeypatch.setattr(edits, "Editor", lambda *arguments: editor)
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        words = ["edit.py", "--config", CONFIG, "--out", "out", "--prompt", "a beard", *arguments]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as end:
            cli.run_command(edits.main, "edits a face")
        answer = capsys.readouterr()
        return end.value.code, answer.out, answer.err

    return call


@pytest.mark.parametrize(
    "picture, arguments, code, said",
    [
        (levels(0, 255), (), 0, "leak 0"),
        (levels(0, 255), ("--assert-local",), 0, "leak 0"),
        (Image.new("L", (32, 32), 255), (), 0, "mask 100.0%"),
        (
            Image.new("L", (32, 32), 255),
            (),
            0,
            "100.0% of the pixels may change, so that the certificate proves little",
        ),
        (Image.new("L", (32, 32), 255), ("--assert-local",), 1, "proves little"),
        (Image.new("L", (32, 32), 255), ("--assert-local", "--allow-full"), 0, "proves little"),
    ],
)
@pytest.mark.filterwarnings("ignore:the mask .* is resized")
def test_a_mask_of_everything_is_said_so_and_is_not_local(picture, arguments, code, said, run, tmp_path):
    picture.save(tmp_path / "mask.png")
    ended, printed, error = run("--mask", "mask.png", *arguments)
    assert ended == code and said in printed, error
    assert ("proves little" in said) <= ("proves little" in printed)


def test_attention_of_everything_is_said_so_and_is_not_local(run):
    ended, printed, _ = run("--threshold", "0", "--assert-local")
    assert ended == 1 and "mask 100.0%" in printed and "proves little" in printed


def test_a_black_mask_says_so_itself(run, tmp_path):
    Image.new("L", (32, 32)).save(tmp_path / "mask.png")
    ended, printed, error = run("--mask", "mask.png")
    assert (ended, printed) == (2, "") and "the mask mask.png is black everywhere" in error


@pytest.mark.parametrize(
    "mask_mode, said", [("replace", "the mask is black everywhere"), ("multiply", "inside of the mask")]
)
def test_a_mask_tensor_of_zeros_is_not_blamed_on_the_words(mask_mode, said, editor):
    result = editor.edit(editor.source(0), Step("a beard", mask=torch.zeros(1, 1, 32, 32), mask_mode=mask_mode))
    assert said in edits.sentence(result)


def test_a_mask_of_another_shape_is_named(run, tmp_path):
    Image.new("L", (48, 40), 255).save(tmp_path / "mine.png")
    ended, _, error = run("--mask", "mine.png")
    assert ended == 2 and "the mask mine.png is 48x40 px" in error and not list((tmp_path / "out").iterdir())
