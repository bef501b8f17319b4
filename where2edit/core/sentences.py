"""Lines for people: error sentences of a bounded length, and lines that several processes print."""

from __future__ import annotations

import math
from reprlib import Repr
from typing import Any, TextIO

MOST = 300  # characters of a sentence
QUOTED = 60  # characters of a value that a sentence quotes
HEAD = 0.65  # share of a sentence that is too long kept from its start; what to do stands at its end


class _ShortRepr(Repr):
    """`repr` of a bounded length and depth, so that a list of lists of lists costs no more than a number."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 2, QUOTED, QUOTED, QUOTED
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 4

    def repr_int(self, x: int, level: int) -> str:
        """Numbers of more than 40 digits by their size: Python refuses to write out the longest."""
        digits = int(x.bit_length() * math.log10(2))
        return f"about {'-' if x < 0 else ''}10^{digits}" if digits > 40 else super().repr_int(x, level)


def quoted(value: Any) -> str:
    """A value as an error quotes it: its `repr`, cut to about QUOTED characters."""
    text = _ShortRepr().repr(value)
    return text if len(text) <= 2 * QUOTED else f"{text[:QUOTED]}..."


def one_sentence(text: str, most: int = MOST) -> str:
    """A text on one line of at most `most` characters; of a longer one the middle is left out."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    head = int(HEAD * most)
    return f"{line[:head].rstrip()} ... {line[head + 5 - most :].lstrip()}"


def figure(value: float | None, form: str, unit: str = "") -> str:
    """A figure for people, in a format such as ".3f"; a dash where there is none or where it is not a finite number."""
    return "–" if value is None or not math.isfinite(value) else f"{value:{form}}{unit}"


def print_line(line: str, file: TextIO | None = None) -> None:
    """Print a line to `file` (default: standard output) and its end in one write.

    `print` may write the end by itself, and then lines of processes that share a terminal or a log run into each other.
    """
    print(f"{line}\n", end="", file=file, flush=True)
