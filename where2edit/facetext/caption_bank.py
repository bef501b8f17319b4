"""Every caption that the encoder is trained with: what it says about which concepts, and its features from the text
tower.

Legend: K captions, M = 3 concepts that a caption may name, C concepts, B pictures, F text features.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from where2edit.facetext.phrases import CONCEPTS, FRESH, INDEX, plain, spoken
from where2edit.files import tensorfile
from where2edit.files.fingerprints import text_sha256

MEMBERS = 3
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
    """One concept each: every training phrase in every template, and every phrase denied."""
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
    """Captions of two or three concepts, most of them affirmed: "a woman with red lipstick", "bangs and a smile"."""
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
    """A phrase of a thing about a concept; the side that is denied one time in six."""
    side = 0 if draw.random() < 1 / 6 else 1
    things = [p for p in CONCEPTS[number].phrases(bool(side)) if p[0] not in "~="]
    if not things:
        return _thing(draw.randrange(len(CONCEPTS)), draw)
    return draw.choice(things), (number, side)


class CaptionBank:
    """Captions as tensors: `concepts` and `sides` [K,M] (unused places -1 and 1), `features` [K,F]."""

    def __init__(self, captions: list[Caption], features: Tensor):
        self.captions, self.features = captions, features
        padded = [list(c.says) + [(-1, 1)] * (MEMBERS - len(c.says)) for c in captions]
        self.concepts, self.sides = torch.tensor(padded).unbind(2)
        self.single = (self.concepts[:, 1] < 0).nonzero().flatten()
        self.composite = (self.concepts[:, 1] >= 0).nonzero().flatten()
        key = self.concepts[self.single, 0] * 2 + self.sides[self.single, 0]
        self.by_side = [self.single[key == i] for i in range(2 * len(CONCEPTS))]

    def sample(self, count: int, affirmed: float, draw: torch.Generator, odds: Tensor | None = None) -> Tensor:
        """Caption numbers: four fifths of one concept, `affirmed` of them positive, the rest composites.

        Concepts come up alike, or as often as `odds` [C] says.
        """
        many = count - count // 5
        if odds is None:
            concepts = torch.randint(len(CONCEPTS), (many,), generator=draw)
        else:
            concepts = torch.multinomial(odds, many, True, generator=draw)
        sides = (torch.rand(many, generator=draw) < affirmed).long()
        picks = [_pick(self.by_side[key], draw) for key in (concepts * 2 + sides).tolist()]
        others = self.composite[torch.randint(len(self.composite), (count - many,), generator=draw)]
        return torch.cat([torch.stack(picks), others])

    def truth(self, rows: Tensor, truth: Tensor) -> Tensor:
        """What captions `rows` [K] say of pictures with `truth` [B,C]: 1, 0 or -1 for unknown, [B,K]."""
        concepts, sides = self.concepts[rows].to(truth.device), self.sides[rows].to(truth.device)
        value = truth[:, concepts.clamp_min(0)]
        value = torch.where((sides == 0) & (value >= 0), 1 - value, value)
        value = torch.where(concepts < 0, torch.ones_like(value), value)
        unknown = torch.where((value < 0).any(2), -1, 1)
        return torch.where((value == 0).any(2), torch.zeros_like(unknown), unknown)


def _pick(rows: Tensor, draw: torch.Generator) -> Tensor:
    return rows[torch.randint(len(rows), (), generator=draw)]


def build(captions: list[Caption], tower, cache: Path, chunk: int = 64) -> CaptionBank:
    """The bank of these captions; features come from `cache` when it was made for the same captions.

    `tower` is called for a MiniLM only when it is needed.
    """
    stamp = text_sha256("\n".join(c.text for c in captions))
    if cache.is_file():
        tensors, about = tensorfile.read(cache)
        if about.get("captions") == stamp:
            return CaptionBank(captions, tensors["features"].float())
    words, texts = tower(), [c.text for c in captions]
    features = torch.cat([words(texts[i : i + chunk]) for i in range(0, len(texts), chunk)])
    tensorfile.write(cache, {"features": features.half()}, "caption-bank", {"captions": stamp})
    return CaptionBank(captions, features.half().float())
