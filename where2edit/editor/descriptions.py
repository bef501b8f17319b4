"""Prompts that say several things: splitting them into single attributes, which are applied one by one."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from where2edit.core.records import Source
from where2edit.editor.denials import SEPARATOR, statements
from where2edit.editor.editor import Editor
from where2edit.editor.recipes import RecipeStep
from where2edit.editor.steps import Step


def split_description(text: str) -> list[str]:
    """A long description -> single attributes: split at commas, periods, semicolons and "and", fillers dropped.

    A period within a number ("1.5 cm") does not split. A denied attribute is written with "no". Raises ValueError where
    nothing is left.
    """
    said = split_denials([text])
    pieces = said if len(said) > 1 else re.split(rf"{SEPARATOR}|\band\b", text)
    words = "he|she|they|this|the|a|an|person|man|woman|who|has|have|having|is|are|with|wears|wearing"
    fillers = rf"^(?:(?:{words})(?:\s+|$))+"
    bare = (re.sub(fillers, "", piece.strip(), flags=re.IGNORECASE).strip() for piece in pieces)
    # "a man" is all filler: the piece as it was written is the attribute then.
    found = [short or piece.strip() for short, piece in zip(bare, pieces, strict=True) if piece.strip()]
    if not found:
        raise ValueError(f"no attribute is left of the description {text!r}; separate attributes by commas")
    return found


def split_denials(prompts: list[str]) -> list[str]:
    """Prompts, where one that affirms some things and denies others becomes several: "blond hair", "no bangs"."""
    found: list[str] = []
    for prompt in prompts:
        said = statements(prompt)
        found += [prompt] if len(said) == 1 else [statement.prompt for statement in said]
    return found


@torch.no_grad()
def large_areas_first(
    editor: Editor, source: Source, steps: tuple[RecipeStep, ...], loaded: Sequence[Step]
) -> tuple[RecipeStep, ...]:
    """The steps, `loaded` with their pictures, in falling order of the area that each would edit: small parts last."""
    edits = [editor.method.propose(source, editor.condition(step)) for step in loaded]
    areas = [editor.mask(edit, step).mean().item() for edit, step in zip(edits, loaded, strict=True)]
    return tuple(steps[i] for i in sorted(range(len(areas)), key=lambda i: -areas[i]))
