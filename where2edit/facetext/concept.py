"""A concept of a face with phrases that affirm and deny it, and the templates that the phrases are put into.

A phrase names a thing that one has ("blond hair"); marked with `~` it is a quality ("~blond"), marked with `=` it
stands alone ("=a man").
"""

from __future__ import annotations

from dataclasses import dataclass

THING_TEMPLATES = (
    "{}",
    "{}",
    "a person with {}",
    "a face with {}",
    "someone who has {}",
    "with {}",
    "this person has {}",
)
QUALITY_TEMPLATES = (
    "{}",
    "{}",
    "a person who is {}",
    "a {} face",
    "this person is {}",
    "the face looks {}",
    "{} person",
)
ALONE_TEMPLATES = ("{}", "{}", "a photo of {}", "a picture of {}", "this is {}")


@dataclass(frozen=True)
class Concept:
    """One thing that can be true of a face, and the phrases for it and against it, separated by `|`."""

    name: str
    yes: str  # phrases that affirm it
    no: str  # phrases that deny it
    held_yes: str  # the same, kept out of training
    held_no: str = ""

    def phrases(self, true: bool = True, held_out: bool = False) -> list[str]:
        """The phrases of one side, markers included."""
        text = (self.held_yes if true else self.held_no) if held_out else (self.yes if true else self.no)
        return [phrase.strip() for phrase in text.split("|") if phrase.strip()]


def plain(phrase: str) -> str:
    """A phrase without its marker: what a user would type."""
    return phrase.lstrip("~=")


def spoken(phrase: str) -> list[str]:
    """A phrase in every template of its kind, without repeats."""
    kinds = {"~": QUALITY_TEMPLATES, "=": ALONE_TEMPLATES}
    return list(dict.fromkeys(t.format(plain(phrase)) for t in kinds.get(phrase[0], THING_TEMPLATES)))
