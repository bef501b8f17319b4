"""Which parts of a face a prompt names, by its words: where the edit must show, and where it may.

Parts are groups of face parsing (backbones.face_parsing). A prompt without any of these words, and one about the whole
person, names none. Words of several entries add up: "bangs and red lipstick" names hair and lips.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import reduce
from operator import or_

WHOLE = re.compile(r"\b(young|old|elderly|aged|child|attractive|beautiful)\b")


@dataclass(frozen=True)
class Parts:
    """Where an edit must show, and where it may."""

    must: frozenset[str]
    may: frozenset[str] = frozenset()

    def __or__(self, other: Parts) -> Parts:
        return Parts(self.must | other.must, self.may | other.may)


@dataclass(frozen=True)
class Entry:
    """Words (alternatives of a regular expression) and the parts that they name, separated by blanks."""

    words: str
    must: str
    may: str = ""

    def parts(self) -> Parts:
        return Parts(frozenset(self.must.split()), frozenset(self.may.split()))

    def names(self, text: str) -> bool:
        return re.search(rf"\b({self.words})\b", text) is not None


WORDS = (
    Entry(r"hair|haired|locks|curls|blonde?|brunette|redhead|highlights", "hair"),
    Entry(r"bangs|fringe|bald|balding|hairless|receding hairline", "hair", "skin brows"),
    Entry(r"sideburns", "", "hair skin ears"),
    Entry(r"hat|cap|beanie", "hair", "skin"),
    Entry(r"smil\w*|grin\w*|laugh\w*|mouth|teeth", "mouth", "skin"),
    Entry(r"sad|angry|serious|neutral|surprised|happy", "mouth", "face"),
    Entry(r"lipstick|lips", "lips", "mouth"),
    Entry(r"makeup|make-up", "lips eyes", "face"),
    Entry(r"rosy|blush\w*|cheeks?|cheekbones", "", "skin nose"),
    Entry(r"eyebrows?|brows?", "brows", "eyes"),
    Entry(r"eyes?|eyelashes|eyeshadow", "eyes", "skin"),
    Entry(r"eyeglasses|glasses|sunglasses", "eyes glasses", "brows skin nose ears"),
    Entry(r"nose", "nose", "skin"),
    Entry(r"ears?|earrings?", "ears", "earrings hair neck"),
    Entry(r"beard\w*|goatee|m(?:o?u)stache|stubble|(?:un)?shave[nd]?|five o'clock shadow", "mouth", "skin neck"),
    Entry(r"skin|pale|tanned|freckles|wrinkles", "skin nose", "face neck ears"),
    Entry(r"chubby|double chin|oval|fat|thin face", "", "face neck ears hair"),
    Entry(r"necklace|necktie|tie", "", "neck cloth"),
)


def named_parts(prompt: str) -> Parts | None:
    """The parts that a prompt names; None where it names none or means the whole person."""
    text = prompt.lower()
    found = [entry.parts() for entry in WORDS if entry.names(text)]
    return None if not found or WHOLE.search(text) else reduce(or_, found)
