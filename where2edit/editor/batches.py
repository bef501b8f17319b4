"""Several edits of one source as one batch: a GPU makes eight in little more time than one.

Legend: m edits of the batch, D embedding width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from where2edit.core.records import Condition, Edit, Source
from where2edit.editor.natural_strength import AUTO
from where2edit.editor.steps import Step

if TYPE_CHECKING:
    from where2edit.editor.editor import Editor

MOST = 8  # edits of one batch: at 1024 px they take 3 GiB


def batches(editor: Editor, steps: Sequence[Step]) -> Iterable[list[int]]:
    """Numbers of the steps that can be edited together: of one threshold, and all at natural strength or none."""
    alike: dict[tuple, list[int]] = {}
    for number, step in enumerate(steps):
        alike.setdefault((step.threshold, editor.strength(step) == AUTO, step.more), []).append(number)
    for numbers in alike.values():
        yield from (numbers[first : first + MOST] for first in range(0, len(numbers), MOST))


def edited_together(
    editor: Editor, source: Source, steps: Sequence[Step], conditions: Sequence[Condition]
) -> list[tuple[Edit, float]]:
    """The edits of one source by the m steps of a batch, with their pictures, and the strength of each."""
    condition, repeated = joined(conditions), source.repeat(len(steps))
    edit = editor.method.propose(source, condition)
    edit = edit.with_(mask=torch.cat([editor.mask(edit.take(slice(n, n + 1)), step) for n, step in enumerate(steps)]))
    strengths = condition.strengths
    if editor.natural is not None and editor.strength(steps[0]) == AUTO:
        edit, strengths = editor.natural.applied(editor.method, source, edit, condition, more=steps[0].more)
    edit = editor.method.render(repeated, edit, keep_tail=False)
    return [(edit.take(slice(n, n + 1)), strength) for n, strength in enumerate(strengths.flatten().tolist())]


def joined(conditions: Sequence[Condition]) -> Condition:
    """The conditions of m single edits of one source, of one threshold, as one."""
    h, attention = (torch.cat([getattr(c, name) for c in conditions]) for name in ("h", "h_attention"))
    strengths = torch.cat([c.strengths for c in conditions])
    prompts = tuple(prompt for c in conditions for prompt in c.prompts)
    return replace(
        conditions[0], h=h, h_attention=attention, strength=strengths, prompts=prompts, per_source=len(conditions)
    )
