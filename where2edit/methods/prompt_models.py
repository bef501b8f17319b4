"""Models of a method that learns one prompt, side by side: each edit is made by the model of its own prompt.

In training they share the sources of a step; in use the prompt chooses the model, and no other model stands in for it.

Legend: n sources, m edits of each, B = n*m.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from where2edit.core.records import Condition, Edit, Source
from where2edit.core.sentences import quoted
from where2edit.methods.base import Method

MOST_NAMED = 5  # prompts that an error lists


def plain(prompt: str) -> str:
    """A prompt as models are known by it: capitals and spaces make no difference."""
    return " ".join(prompt.casefold().split())


class PromptModels(Method):
    """`models` {prompt: its model}: one or more, of one method with the same config and the same frozen networks."""

    def __init__(self, models: Mapping[str, Method]):
        first = next(iter(models.values()))
        super().__init__(first.frozen)
        self.local, self.reads_tail = first.local, first.reads_tail
        self.models = nn.ModuleList(models.values())
        self.by_prompt = {plain(prompt): number for number, prompt in enumerate(models)}
        self.prompts = tuple(models)

    def model(self, prompt: str) -> Method:
        """The model of a prompt. Raises ValueError, naming the nearest prompt, for one that no model has learnt."""
        if plain(prompt) not in self.by_prompt:
            raise ValueError(unlearnt(prompt, self.prompts))
        return self.models[self.by_prompt[plain(prompt)]]

    def check(self, condition: Condition) -> None:
        """Raise ValueError for a prompt that no model has learnt, and for a second prompt or a reference picture."""
        for prompt in condition.prompts:
            self.model(prompt).check(condition)
        if not torch.equal(condition.h, condition.h_attention):
            raise ValueError(
                "this method learns what to edit and where from one prompt; leave out --where and --reference"
            )

    def propose(self, source: Source, condition: Condition) -> Edit:
        """n sources, B conditions -> B edits without their pictures, each by the model of its prompt."""
        rows: dict[str, list[int]] = {}
        for row, prompt in enumerate(condition.prompts):
            rows.setdefault(plain(prompt), []).append(row)
        if len(rows) == 1:
            return self.model(next(iter(rows))).propose(source, condition)
        repeated = source.repeat(condition.per_source)
        edits = [self.model(prompt).propose(repeated.take(own), condition.take(own)) for prompt, own in rows.items()]
        order = torch.tensor([row for own in rows.values() for row in own]).argsort()
        return _joined(edits, order.to(source.w.device))

    def render(self, source: Source, edit: Edit, use_preview_head: bool = False, keep_tail: bool | None = None) -> Edit:
        """As the method renders: pictures depend on what was proposed, and on nothing that is trained."""
        return self.models[0].render(source, edit, use_preview_head, keep_tail)

    def schedule(self, progress: float) -> None:
        for model in self.models:
            model.schedule(progress)


def unlearnt(prompt: str, known: Sequence[str]) -> str:
    """The sentence on a prompt that no model has learnt: the nearest one, some others, and what to do."""
    nearest = difflib.get_close_matches(plain(prompt), known, n=1, cutoff=0.0)[0]
    others = [quoted(each) for each in known if each != nearest]
    more = f", ... ({len(known)} in all)" if len(others) > MOST_NAMED else ""
    listed = f"; others: {', '.join(others[:MOST_NAMED])}{more}" if others else ""
    return (
        f"no model has learnt {quoted(prompt)}; the nearest prompt is {quoted(nearest)}{listed}; use one of them, or "
        "train it by scripts/train.py --prompt"
    )


def _joined(edits: Sequence[Edit], order: Tensor) -> Edit:
    """The proposed edits as one batch, its rows in another order."""

    def joined(values: Sequence[Any]) -> Any:
        first = values[0]
        if is_dataclass(first):
            names = [each.name for each in fields(first)]
            return replace(first, **{name: joined([getattr(value, name) for value in values]) for name in names})
        if isinstance(first, dict):
            return {key: joined([value[key] for value in values]) for key in first}
        return torch.cat(list(values))[order] if torch.is_tensor(first) else first

    shared = ("region_shares",)  # the same for every row
    own = [each.name for each in fields(Edit) if each.name not in shared]
    return edits[0].with_(**{name: joined([getattr(edit, name) for edit in edits]) for name in own})
