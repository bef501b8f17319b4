"""Reads lists of seeds as a command line gives them."""

from __future__ import annotations


def parse_seeds(text: str) -> list[int]:
    """ "0-3,7" -> [0, 1, 2, 3, 7]. Raises ValueError for anything else, for negative numbers and for an empty list."""
    seeds: list[int] = []
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"seeds '{text}' are not understood at '{part}'; write for example 0-7 or 3,5,9")
        if dash and int(last) < int(first):
            raise ValueError(f"seeds '{part}' run backwards; write {last}-{first}")
        seeds += range(int(first), int(last or first) + 1)
    return seeds
