"""The captions that facetext is trained with, and what each says about which concepts.

Captions of one concept are its phrases in templates, and their denials; composite captions join two or three concepts.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from where2edit.facetext.concept import plain, spoken
from where2edit.facetext.fresh_phrases import FRESH
from where2edit.facetext.phrases import CONCEPTS, INDEX

DENIED = 1 / 6  # share of the phrases in composite captions that deny their concept
PAIRS = ("{} and {}", "{}, {}", "a person with {} and {}", "a face with {} and {}", "someone who has {} and {}")
SUBJECTS = {  # the words for a person, and what they say
    "a man": (("Male", 1),), "a woman": (("Male", 0),), "a young woman": (("Male", 0), ("Young", 1)),
    "an old man": (("Male", 1), ("Young", 0)), "a young man": (("Male", 1), ("Young", 1)),
    "an old woman": (("Male", 0), ("Young", 0)), "a young person": (("Young", 1),), "an old person": (("Young", 0),),
}  # fmt: skip


@dataclass(frozen=True)
class Caption:
    """Words, and the (concept number, 0 or 1) pairs that must all hold for them to be true."""

    text: str
    says: tuple[tuple[int, int], ...]


def held_out() -> set[str]:
    """Every phrase kept out of training, as it would be typed."""
    listed = {plain(p) for c in CONCEPTS for side in (True, False) for p in c.phrases(side, held_out=True)}
    return listed | {phrase for phrases in FRESH.values() for phrase in phrases.split("|")}


def _denials(phrase: str) -> list[str]:
    """Negations of a phrase for it: "a beard" -> "no beard", "without a beard"."""
    words = plain(phrase)
    if words.startswith(("no ", "without ", "not ")):
        return []
    if phrase[0] == "~":
        return [f"not {words}", f"a person who is not {words}"]
    if phrase[0] == "=":
        return []
    bare = words.removeprefix("a ").removeprefix("an ").removeprefix("the ")
    forms = ("no {0}", "without any {0}", "no {0} at all", "a face that has no {0}")
    return [form.format(bare) for form in forms] + [f"without {words}", f"a person without {words}"]


def singles() -> list[Caption]:
    """The captions of one concept: every training phrase in every template, and every phrase denied."""
    kept_out, found = held_out(), {}
    for number, concept in enumerate(CONCEPTS):
        for side in (1, 0):
            for phrase in concept.phrases(bool(side)):
                for text in spoken(phrase):
                    found.setdefault(text, Caption(text, ((number, side),)))
        for phrase in concept.phrases(True):
            for text in _denials(phrase):
                found.setdefault(text, Caption(text, ((number, 0),)))
    return [caption for text, caption in found.items() if text not in kept_out]


def composites(count: int, seed: int) -> list[Caption]:
    """`count` random captions of two or three concepts, most of them affirmed, such as "a woman with red lipstick"."""
    draw, found = random.Random(seed), []
    while len(found) < count:
        first, second = draw.sample(range(len(CONCEPTS)), 2)
        (a, says_a), (b, says_b) = _thing(first, draw), _thing(second, draw)
        if says_a[0] == says_b[0]:
            continue
        if draw.random() < 0.5:
            found.append(Caption(draw.choice(PAIRS).format(a, b), (says_a, says_b)))
            continue
        subject, facts = draw.choice(list(SUBJECTS.items()))
        says = tuple((INDEX[name], side) for name, side in facts)
        if says_a[0] not in [number for number, _ in says]:
            found.append(Caption(f"{subject} with {a}", (*says, says_a)))
    return found


def _thing(number: int, draw: random.Random) -> tuple[str, tuple[int, int]]:
    """A phrase that names a thing, and the (concept, side) that it says.

    It is of concept `number`, or of a random one where that has no such phrase.
    """
    side = 0 if draw.random() < DENIED else 1
    things = [p for p in CONCEPTS[number].phrases(bool(side)) if p[0] not in "~="]
    if not things:
        return _thing(draw.randrange(len(CONCEPTS)), draw)
    return draw.choice(things), (number, side)
