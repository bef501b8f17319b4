"""Labels of sheets: text in a font that has its letters, wrapped to a width; what no font has is spelled by codes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

MOST_LETTERS, MOST_LINES = 1000, 40  # of one label; longer ones end in dots
ABSENT = "\U0010ffff"  # a character that no font has: its picture is that of every other one that is missing


@dataclass(frozen=True)
class Label:
    """Text as it is drawn."""

    text: str  # its lines, one below the other
    font: ImageFont.FreeTypeFont

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        box = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox((0, 0), self.text, self.font)
        return int(box[2]) + 1, int(box[3]) + 1


def label(text: str, height: int, width: int) -> Label:
    """`text` in letters of `height` pixels, in lines of at most `width` pixels; the font is the one with most of it."""
    text, font = _cut(text), plain_font(height)
    drawn = spelled(text, font)
    if drawn != text and (wide := wide_font(height)) is not None:
        font, drawn = min(((font, drawn), (wide, spelled(text, wide))), key=lambda pair: len(pair[1]))
    lines = wrap(_cut(drawn), font, width)
    lines = lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], "..."]
    return Label("\n".join(lines), font)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS] + "..."


@cache
def plain_font(height: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, which has the letters of English."""
    return ImageFont.load_default(height)


@cache
def wide_font(height: int) -> ImageFont.FreeTypeFont | None:
    """matplotlib's font, with the letters of Europe and of Arabic; None without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return None
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", height)


def spelled(text: str, font: ImageFont.FreeTypeFont) -> str:
    """`text` with every character that the font lacks as its code, such as \\u5fae."""
    absent = _pixels(ABSENT, font)
    codes = {
        ord(each): each.encode("unicode_escape").decode()
        for each in set(text)
        if not each.isspace() and ("\ud800" <= each <= "\udfff" or _pixels(each, font) == absent)
    }
    return text.translate(codes)


def _pixels(character: str, font: ImageFont.FreeTypeFont) -> tuple[tuple[int, int], bytes]:
    """The picture of a character."""
    mask = font.getmask(character)
    return mask.size, bytes(mask)


def wrap(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """`text` in lines of at most `width` pixels, broken between words, and inside a word only if it is too long."""
    lines: list[str] = []
    for paragraph in str(text).splitlines() or [""]:
        line = ""
        for word in paragraph.split():
            while word:
                joined = f"{line} {word}".strip()
                if _fits(joined, font, width):
                    line, word = joined, ""
                elif line:
                    lines.append(line)
                    line = ""
                else:
                    fits = _fitting(word, font, width)
                    lines.append(word[:fits])
                    word = word[fits:]
        if line or not paragraph.strip():
            lines.append(line)
    return lines


def _fits(text: str, font: ImageFont.FreeTypeFont, width: int) -> bool:
    """Whether a line holds `text`; no letter is narrower than a pixel, so that long texts need not be measured."""
    return len(text) <= width and font.getlength(text) <= width


def _fitting(word: str, font: ImageFont.FreeTypeFont, width: int) -> int:
    """How many letters of a word fit into a line, at least one; found by halving, since longer texts are wider."""
    low, high = 1, min(len(word), max(1, width))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _fits(word[:middle], font, width) else (low, middle - 1)
    return low
