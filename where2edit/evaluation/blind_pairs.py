"""Pairs for a blind test: a face that has an attribute by nature, and an edit that gave it to a face that lacked it.

Legend: C concepts of the judge, R output resolution, s pixels of a picture.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from where2edit.backbones.judge import Judge
from where2edit.backbones.preprocess import resize
from where2edit.core.bounds import Count, Few, Pixels, Seed
from where2edit.core.config import check_values
from where2edit.core.records import Source
from where2edit.core.registry import nearest
from where2edit.editor.editor import Editor
from where2edit.editor.steps import Step
from where2edit.evaluation.concepts import Asked
from where2edit.evaluation.natural_faces import FIRST_SEED, HAS, LACKS, log_odds
from where2edit.evaluation.protocols import Prompt

Face = tuple[int, Source, Tensor]  # seed, source, and the judge's logits [C]
Found = tuple[int, Tensor]  # seed and picture [3,s,s]


@dataclass(frozen=True)
class Pair:
    """Two pictures [3,s,s] in [-1,1] of one prompt, and which of them was edited."""

    prompt: str
    natural: Tensor
    edited: Tensor
    natural_seed: int
    source_seed: int
    edited_is: str  # "left" or "right"

    @property
    def sides(self) -> tuple[Tensor, Tensor]:
        """The left and the right picture."""
        return (self.edited, self.natural) if self.edited_is == "left" else (self.natural, self.edited)


@dataclass(frozen=True)
class BlindPlan:
    """How many pairs are asked for, and among how many faces they are looked for."""

    each: Few = 2  # pairs of a prompt
    faces: Count = 1000  # natural faces that are looked at, at most
    seed: Seed = 200_000  # of the first face that is edited, of the natural ones, and of the order
    size: Pixels = 512  # s

    def __post_init__(self):
        check_values(self, "blind_test")
        if not 0 <= self.seed < FIRST_SEED - self.faces:
            raise ValueError(f"--seed must be from 0 to {FIRST_SEED - self.faces - 1}, got {self.seed}")

    @property
    def natural_seeds(self) -> range:
        """The faces among which natural ones are looked for."""
        return range(FIRST_SEED + self.seed, FIRST_SEED + self.seed + self.faces)

    @property
    def source_seeds(self) -> range:
        """The faces among which those to edit are looked for."""
        return range(self.seed, self.seed + self.faces)


def chosen_prompts(known: tuple[Prompt, ...], texts: list[str]) -> list[Prompt]:
    """The prompts of these texts, or where there is none all that have a concept.

    Raises ValueError for a text without: nobody could say which faces have by nature what it asks for.
    """
    by_text = {prompt.text: prompt for prompt in known if prompt.concept}
    if unknown := [text for text in texts if text not in by_text]:
        raise ValueError(f"no attribute is known for the prompt '{unknown[0]}'; {nearest(unknown[0], by_text)}")
    return [by_text[text] for text in dict.fromkeys(texts)] if texts else list(by_text.values())


def make_pairs(editor: Editor, judge: Judge, prompts: list[Prompt], plan: BlindPlan) -> list[Pair]:
    """The pairs in random order; a prompt of which fewer natural faces are found has fewer of them, or none.

    No face appears twice. Raises ValueError where there is no pair at all.
    """

    asked = {prompt.text: Asked.of(prompt.concept or "", judge.names) for prompt in prompts}
    natural = find(
        look(editor, judge, plan.natural_seeds),
        dict.fromkeys(asked, plan.each),
        lambda text, logits: asked[text].log_odds(logits) > log_odds(HAS),
        lambda _, source: source.image,
        plan.size,
        "natural faces",
    )
    wanted = {text: len(found) for text, found in natural.items()}
    if not any(wanted.values()):
        raise ValueError(
            f"none of {plan.faces} generated faces has by nature what a prompt asks for; look at more (--faces)"
        )
    edited = find(
        look(editor, judge, plan.source_seeds),
        wanted,
        lambda text, logits: asked[text].log_odds(logits) < log_odds(LACKS),
        lambda text, source: editor.edit(source, Step(text)).image,
        plan.size,
        "edits",
    )
    return shuffled(natural, edited, plan.seed)


def shuffled(natural: dict[str, list[Found]], edited: dict[str, list[Found]], seed: int) -> list[Pair]:
    """Pairs of what was found for each prompt, in random order and each with the edit on a random side."""
    draw = random.Random(seed)
    pairs = []
    for text, faces in natural.items():
        for (natural_seed, face), (source_seed, edit) in zip(faces, edited[text], strict=False):
            pairs.append(Pair(text, face, edit, natural_seed, source_seed, draw.choice(("left", "right"))))
    draw.shuffle(pairs)
    return pairs


@torch.no_grad()
def look(editor: Editor, judge: Judge, seeds: range) -> Iterator[Face]:
    """Generated faces one by one, as the judge sees them."""
    for seed in seeds:
        source = editor.source(seed)
        yield seed, source, judge(source.image)[0]


def find(
    faces: Iterator[Face],
    wanted: dict[str, int],
    accepts: Callable[[str, Tensor], Tensor],
    picture: Callable[[str, Source], Tensor],
    size: int,
    words: str,
) -> dict[str, list[Found]]:
    """Give each face to the prompt that accepts its logits and has the fewest yet, until all have as many as wanted.

    Returns for each prompt what `picture` makes of the sources, shrunk to `size` pixels. `words` name the progress bar.
    """
    found: dict[str, list[Found]] = {text: [] for text in wanted}
    with tqdm(total=sum(wanted.values()), desc=words) as bar:
        while bar.n < bar.total and (face := next(faces, None)):
            seed, source, logits = face
            open_to = [text for text in wanted if len(found[text]) < wanted[text] and accepts(text, logits)]
            if open_to:
                text = min(open_to, key=lambda each: len(found[each]))
                found[text].append((seed, resize(picture(text, source), size).clamp(-1, 1)[0].cpu()))
                bar.update()
    return found
