"""The door for texts from outside: captions and tables, as editors and spreadsheets of any system save them."""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path

from where2edit.files.regular import regular_file, shown

MOST_BYTES = 1 << 28
UTF16 = (b"\xff\xfe", b"\xfe\xff")  # marks at the start of a file


def read_text(path: str | Path, what: str = "text file") -> str:
    """The text of a file in UTF-8, a byte-order mark cut off; what is not UTF-8 is read as Western European (cp1252).

    Raises ValueError for what is no regular file, and for content that is not text; `what` is what it was wanted for.
    """
    path = regular_file(path, what, MOST_BYTES)
    if path.stat().st_size == 0:
        return ""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"no {what} at {shown(path)}: {error.strerror}; make it readable") from None
    if data.startswith(UTF16) or b"\0" in data:
        raise ValueError(f"{shown(path)} is not UTF-8 text, as a {what} is; save it as plain text in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # One sentence for a folder: a corpus holds thousands of files.
        warnings.warn(
            f"texts in {shown(path.parent)} that are not UTF-8 are read as Western European (cp1252)", stacklevel=2
        )
        return data.decode("cp1252", errors="replace")


def read_table(path: str | Path, what: str = "table") -> tuple[list[str], list[list[str]]]:
    """The head of a table and its rows, all of one length; empty lines are passed over.

    Columns stand between commas, semicolons or tabs, as a spreadsheet saves them, whichever is most in the first line;
    without any, between spaces, as in CelebA's own lists, whose first line is the number of rows and whose head lacks
    the first column, which is then called "image". Raises ValueError as `read_text` does, and for rows that do not fit.
    """
    text = read_text(path, what)
    lines = [line for line in io.StringIO(text, newline=None).read().split("\n") if line.strip()]
    if lines and lines[0].lower().startswith("sep="):  # how Excel is told what stands between the columns
        lines = lines[1:]
    counted = len(lines) > 1 and lines[0].strip().isdigit()
    head = lines[1] if counted else "".join(lines[:1])
    separator = max(",;\t", key=head.count)
    lines = lines[counted:]
    rows = _split(lines, separator, path) if separator in head else [line.split() for line in lines]
    if counted and len(rows) > 1 and len(rows[1]) == len(rows[0]) + 1:
        rows[0] = ["image", *rows[0]]
    rows = [[value.strip() for value in row] for row in rows]
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            said = f"row {number} of {shown(path)} has {len(row)} values, its head has {len(rows[0])}"
            raise ValueError(f"{said}; every row needs as many")
    return (rows[0], rows[1:]) if rows else ([], [])


def _split(lines: list[str], separator: str, path: str | Path) -> list[list[str]]:
    """The values of each line, quotes taken off. Raises ValueError where they do not close."""
    try:
        return list(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error as error:
        raise ValueError(f"{shown(path)} cannot be read as a table ({error}); save it as CSV") from None
