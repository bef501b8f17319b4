"""Which parts of a face a prompt names, by its words: where the edit must show, and where it may.

Parts are groups of classes of face parsing and parts of the skin (editing/face_parts.py). The parts of several entries
are united: "bangs and red lipstick" names hair and lips. A word for a person ("woman") names the whole head only where
the prompt names no part: "a woman with bangs" names the bangs. A word for a property of the person ("old") always does.
Ours, not the paper's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import reduce
from operator import or_


@dataclass(frozen=True)
class NamedParts:
    """Parts in which an edit must show, and parts in which it may; everywhere else it may not."""

    must: frozenset[str]
    may: frozenset[str] = frozenset()

    def __or__(self, other: NamedParts) -> NamedParts:
        return NamedParts(self.must | other.must, self.may | other.may)


@dataclass(frozen=True)
class PartWords:
    """Words, as alternatives of a regular expression, and the parts that they name, separated by spaces."""

    words: str
    must: str
    may: str = ""

    def parts(self) -> NamedParts:
        return NamedParts(frozenset(self.must.split()), frozenset(self.may.split()))

    def names(self, text: str) -> bool:
        """Whether one of the words stands in the text (in lower case), as a word of its own."""
        return re.search(rf"\b({self.words})\b", text) is not None


WORDS = (
    PartWords(r"hair|haired|locks|curls|blonde?|brunette|redhead|highlights", "hair"),
    PartWords(r"curl\w*|wavy|straight(?: \w+)? hair", "hair", "ears neck"),
    PartWords(r"bangs|fringe|bald|balding|hairless|receding hairline", "hair", "forehead brows"),
    PartWords(r"sideburns", "", "hair cheeks jaw ears"),
    PartWords(r"hat|cap|beanie", "hair forehead"),
    PartWords(r"smil\w*|grin\w*|laugh\w*|teeth", "mouth jaw apples", "cheeks nose"),
    PartWords(r"mouth", "mouth", "jaw"),
    PartWords(r"open(?:ed)? mouth|mouth(?: \w+)? open", "mouth jaw"),
    PartWords(r"sad|angry|serious|neutral|surprised|happy", "mouth", "face"),
    PartWords(r"lipstick|lips", "lips", "mouth"),
    PartWords(r"makeup|make-up", "lips eyes", "face"),
    PartWords(r"cheeks?|cheekbones", "cheeks", "jaw"),
    PartWords(r"rosy|blush\w*|flushed", "cheeks", "nose jaw"),
    PartWords(r"eyebrows?|brows?", "brows", "sockets"),
    PartWords(r"eyes?|eyelashes|eyeshadow", "eyes", "sockets"),
    PartWords(r"eyeglasses|glasses|sunglasses", "eyes sockets brows glasses temples nose apples", "cheeks ears"),
    PartWords(r"nose", "nose", "cheeks"),
    PartWords(r"ears?|earrings?", "ears", "earrings hair neck"),
    PartWords(r"beard\w*|stubble|(?:un)?shave[nd]?|five o'clock shadow", "jaw", "mouth cheeks neck"),
    PartWords(r"goatee|m(?:o?u)stache", "mouth jaw"),
    PartWords(r"skin|pale|tanned|freckles|wrinkles", "skin nose", "face neck ears"),
    PartWords(r"chubby|double chin|oval|fat|thin face", "jaw cheeks", "face neck ears hair"),
    PartWords(r"necklace|necktie|tie", "", "neck cloth"),
    PartWords(r"young|old|elderly|aged|child|attractive|beautiful", "face hair", "neck ears"),
)
PERSON = PartWords(r"(?:wo)?m[ae]n|(?:fe)?male|boy|girl", "face hair", "neck ears")


def named_parts(prompt: str) -> NamedParts | None:
    """The parts that a prompt names; None where it names none."""
    text = prompt.lower()
    found = [entry.parts() for entry in WORDS if entry.names(text)]
    if not found and PERSON.names(text):
        return PERSON.parts()
    return reduce(or_, found) if found else None
