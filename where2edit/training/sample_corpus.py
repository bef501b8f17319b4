"""A sample caption corpus in the layout of Multi-Modal-CelebA-HQ: one text file per face, ten captions, one per line.

Faces are attribute combinations drawn by a seed, none of them a picture; sentences come from templates. What photos
seldom show and an editor must still learn (purple hair, a goatee, a hat) is drawn as often as what is common.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from where2edit.files.atomic import write_text

HAIR_COLOUR_FREQUENCIES = {"blond": 5, "black": 5, "brown": 4, "grey": 4, "red": 2, "purple": 4, "blue": 4, "pink": 2,
                           "green": 2, "orange": 1}  # fmt: skip
HAIR_SHAPES = ("wavy", "straight", "curly", "", "")
EXPRESSIONS = {"a big smile": 4, "a smile": 2, "a slight smile": 1, "a serious face": 1.5, "a sad face": 3,
               "an open mouth": 3, "a closed mouth": 1, "a neutral expression": 0.5}  # fmt: skip
BROWS = ("bushy eyebrows", "arched eyebrows", "arched eyebrows", "bushy eyebrows", "thin eyebrows")
SKIN = ("pale skin", "tanned skin", "rosy cheeks", "wrinkles")
SHAPE = ("a chubby face", "a chubby face", "a chubby face", "an oval face", "high cheekbones", "a double chin",
         "a big nose", "a pointy nose", "big lips", "narrow eyes", "bags under the eyes")  # fmt: skip
MAKEUP = ("lipstick", "red lipstick", "pink lipstick", "heavy makeup", "heavy makeup", "purple lipstick")
BEARDS = ("a beard", "a full beard", "a mustache", "a mustache", "a goatee", "a goatee", "stubble", "sideburns")
WORN = {"eyeglasses": 4, "a hat": 4, "earrings": 1.5, "a necklace": 0.5, "a necktie": 0.5, "sunglasses": 1}


@dataclass(frozen=True)
class Face:
    """What is true of one face: who it is, and phrases of things that it has or wears."""

    woman: bool
    age: str  # "young", "old" or ""
    has: tuple[str, ...]
    wears: tuple[str, ...]


def draw_face(draw: random.Random) -> Face:
    """A random face.

    Age changes nothing else, and sex only beards and how often makeup is drawn, so that few words go together.
    """
    woman = draw.random() < 0.5
    age = draw.choices(("young", "old", ""), (4, 3, 3))[0]
    has, wears = [_hair(draw)], []
    if "hair" in has[0] and draw.random() < 0.2:
        has.append("bangs")
    has.append(_weighted(EXPRESSIONS, draw))
    for kinds, chance in ((BROWS, 0.45), (SKIN, 0.5), (SHAPE, 0.6)):
        if draw.random() < chance:
            has.append(draw.choice(kinds))
    if draw.random() < (0.6 if woman else 0.15):
        wears.append(draw.choice(MAKEUP))
    if not woman and draw.random() < 0.65:
        has.append(draw.choice(BEARDS))
    if draw.random() < 0.7:
        wears.append(_weighted(WORN, draw))
    return Face(woman, age, tuple(has), tuple(wears))


def _hair(draw: random.Random) -> str:
    """A phrase for the hair, or (one in ten) for the lack of it."""
    if draw.random() < 0.1:
        return draw.choice(("a bald head", "a bald head", "a receding hairline"))
    shape = draw.choice(HAIR_SHAPES)
    return (
        f"{shape} {_weighted(HAIR_COLOUR_FREQUENCIES, draw)} hair".strip()
        if draw.random() < 0.8 or not shape
        else f"{shape} hair"
    )


def _weighted(options: dict[str, float], draw: random.Random) -> str:
    """One of the options, as often as its number says."""
    return draw.choices(list(options), list(options.values()))[0]


def listed(phrases: list[str]) -> str:
    """ "a, b and c", with the comma that lets the sampling split it."""
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])}, and {phrases[-1]}"


def caption(face: Face, draw: random.Random) -> str:
    """One sentence or two about some of what is true of the face, ended by a period."""
    person = f"{face.age} {'woman' if face.woman else 'man'}".strip()
    she, her = ("She", "her") if face.woman else ("He", "his")
    # Half of the sentences leave the sex out, so that "wears lipstick" is not always said of a woman.
    she = draw.choice((she, "This person"))
    has = draw.sample(face.has, draw.randint(1, len(face.has)))
    wears = draw.sample(face.wears, draw.randint(0, len(face.wears)))
    article = "An" if person[0] in "aeiou" else "A"
    worn = f" {she} wears {listed(wears)}." if wears else ""
    forms = (
        f"The {person} has {listed(has)}.{worn}",
        f"This {person} has {listed(has)}.{worn}",
        f"{she} has {listed(has)}.{worn}",
        f"{article} {person} with {listed(has)}.{worn}",
        f"{listed(has + wears)}.".capitalize(),
        f"{article} {person}, {listed(has + wears)}.",
        f"This person is {'a ' if not face.age else ''}{face.age or person}, and has {listed(has)}.{worn}",
        f"One can see {listed(has)} on {her} face.{worn}"
        if "hair" not in " ".join(has)
        else f"{she} has {listed(has)}.{worn}",
    )
    return draw.choice(forms)


def write_corpus(folder: str | Path, files: int = 500, captions: int = 10, seed: int = 0) -> None:
    """Write `files` text files of `captions` lines each, 0.txt, 1.txt, ...; the same seed gives the same bytes."""
    if files < 1 or captions < 1:
        raise ValueError(f"a corpus needs at least one file and one caption, got {files} files of {captions}")
    folder = Path(folder)
    draw = random.Random(seed)
    for number in range(files):
        face = draw_face(draw)
        lines = [caption(face, draw) for _ in range(captions)]
        write_text(folder / f"{number}.txt", "\n".join(lines) + "\n")
