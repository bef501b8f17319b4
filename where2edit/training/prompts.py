"""From the caption corpus to training prompts: the sampler of the released code without its three faults.

The corpus has the layout of Multi-Modal-CelebA-HQ: a folder of text files, one per image, one caption per line.

The released sampler takes two random lines of each file, splits them at commas and periods, and makes a prompt of one
phrase, or of two joined by "and". Its faults: of a piece that begins with " and" it cuts the first five characters,
which is the word " and " itself but leaves "lusian" of " andalusian"; it drops the last piece of a line, which is
nothing after a period but a whole phrase where the period is missing; and it keeps empty phrases. Here a leading "and"
is cut as a word, the last piece stays, and what is empty is left out.

Every released process also draws a corpus of its own (seed 200 + rank); here all processes draw the same one and share
its prompts, so that the number of processes does not change the run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F

from where2edit.core.bounds import Bounds
from where2edit.core.config import YOUNGER
from where2edit.editing.conditions import Conditions
from where2edit.files.folders import visible_files
from where2edit.files.texts import read_text

ATTEMPTS = 50  # draws before a prompt is taken although it is close to another
# A prompt is one phrase with this probability, else "phrase and phrase": the released code asks whether a normally
# distributed number is below 1, which has the probability 0.841.
SINGLE_SHARE = 0.841
LINES_PER_FILE = 2  # captions that are drawn of each file, with replacement


@dataclass(frozen=True)
class DataConfig:
    """The `data` section."""

    captions: str = "celeba-caption"  # folder, relative to the project
    # Cosine that the m prompts of one image stay below; 1: no check, as in the released code.
    distinct: Annotated[float, Bounds(0, 1, above=True, note="any prompt")] = 0.7
    # Phrases that prompts are drawn from in place of those of the captions; none: the captions.
    phrases: tuple[str, ...] = field(default=(), metadata=YOUNGER)


def split_caption(caption: str) -> list[str]:
    """Phrases of one caption: split at commas and periods, a leading word "and" cut off, empty ones left out."""
    pieces = (re.sub(r"^and\s+", "", piece.strip()) for piece in re.split(r"[,.]", caption))
    return [piece for piece in pieces if piece]


def read_phrases(folder: str | Path, seed: int = 0) -> list[str]:
    """All phrases of two random captions per file, in the order of the file names; the same seed gives the same list.

    Raises ValueError for a missing folder and for one without any text.
    """
    files = [path for path in visible_files(folder) if path.suffix.lower() == ".txt"]
    if not files:
        raise ValueError(f"no caption files (*.txt) in {folder}; celeba-caption/README.md shows the layout")
    random, phrases = torch.Generator().manual_seed(seed), []
    for file in files:
        lines = [line for line in read_text(file, "caption file").splitlines() if line.strip()]
        for _ in range(LINES_PER_FILE if lines else 0):
            phrases += split_caption(lines[int(torch.randint(len(lines), (), generator=random))])
    if not phrases:
        raise ValueError(f"the {len(files)} caption files in {folder} hold no text; one caption per line is expected")
    return phrases


def sample_prompt(phrases: list[str], random: torch.Generator) -> str:
    """One training prompt: a phrase, or with probability 0.159 two of them joined by "and"."""

    def phrase() -> str:
        return phrases[int(torch.randint(len(phrases), (), generator=random))]

    return phrase() if torch.rand((), generator=random) < SINGLE_SHARE else f"{phrase()} and {phrase()}"


class PromptSampler:
    """Draws the training prompts of each step from the phrases of a corpus.

    distinct: the cosine that any two prompts of one image stay below, so that they name different attributes; 1 allows
    any pair, as in the released code.
    """

    def __init__(self, phrases: list[str], conditions: Conditions, distinct: float = 0.7):
        self.phrases, self.conditions, self.distinct = phrases, conditions, distinct

    def draw(self, n: int, m: int, random: torch.Generator) -> list[list[str]]:
        """m prompts for each of n sources; those of one source differ from each other by `distinct`, where possible."""
        return [self._draw_distinct(m, random) for _ in range(n)]

    def _draw_distinct(self, m: int, random: torch.Generator) -> list[str]:
        """m prompts, each drawn anew until it is far enough from those before, or ATTEMPTS times."""
        chosen: list[str] = []
        for _ in range(m):
            for _ in range(ATTEMPTS):
                prompt = sample_prompt(self.phrases, random)
                if not chosen or self._largest_cosine(chosen, prompt) < self.distinct:
                    break
            chosen.append(prompt)
        return chosen

    def _largest_cosine(self, chosen: list[str], prompt: str) -> float:
        """The largest cosine between `prompt` and those chosen before; -1 where any prompt is allowed."""
        if self.distinct >= 1:
            return -1.0
        before, new = (F.normalize(self.conditions.embed(texts), dim=1) for texts in (chosen, [prompt]))
        return float((before @ new.T).max())


class FixedPrompts:
    """The prompts of a run that learns a model for each of them: the same for every source."""

    def __init__(self, prompts: Sequence[str], conditions: Conditions):
        self.prompts, self.conditions = tuple(prompts), conditions

    def draw(self, n: int, m: int, random: torch.Generator) -> list[list[str]]:
        """All m prompts for each of n sources; nothing is random."""
        assert m == len(self.prompts)
        return [list(self.prompts)] * n
