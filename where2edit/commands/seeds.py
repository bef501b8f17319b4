"""Reads lists of seeds as a command line gives them."""

from __future__ import annotations

from where2edit.core.bounds import MOST_SEED
from where2edit.core.sentences import quoted

MOST_SEEDS = 100_000  # of one list


def parse_seeds(text: str) -> list[int]:
    """ "0-3,7" -> [0, 1, 2, 3, 7]. Raises ValueError for anything else, for negative and too large numbers, for an
    empty list and one of more than MOST_SEEDS.
    """
    ranges = [_range(part, text) for part in text.replace(" ", "").split(",")]
    if (count := sum(map(len, ranges))) > MOST_SEEDS:
        raise ValueError(f"seeds {quoted(text)} are {count:,} faces; give at most {MOST_SEEDS:,} at a time")
    return [seed for each in ranges for seed in each]


def _range(part: str, text: str) -> range:
    """One part of a list, "3" or "0-7"."""
    first, dash, last = part.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        what = f"seeds {quoted(text)} are not understood at {quoted(part)}"
        raise ValueError(f"{what}; write for example 0-7 or 3,5,9")
    if max(len(first), len(last)) > 10 or max(int(first), int(last or 0)) > MOST_SEED:
        raise ValueError(f"seeds {quoted(part)} are too large; allowed: 0 to {MOST_SEED:,}")
    if dash and int(last) < int(first):
        raise ValueError(f"seeds {quoted(part)} run backwards; write {last}-{first}")
    return range(int(first), int(last or first) + 1)
