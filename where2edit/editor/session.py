"""A session: one source that is edited many times, of which each edit computes only what no earlier one has.

What is kept depends on nothing but the source and what is asked, so that an edit has the same bytes in every session.

Legend: D embedding width, R output resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.certificate import certify
from where2edit.editing.sequences import EarlierEdit, combine_with_earlier
from where2edit.editor import denials
from where2edit.editor.batches import batches, edited_together
from where2edit.editor.denials import Statement
from where2edit.editor.natural_strength import AUTO, stepped
from where2edit.editor.steps import Step

if TYPE_CHECKING:
    from where2edit.editor.editor import Editor

NOISE_GAIN = 0.01  # encoding an image again can raise its cosine by as much without any edit
MOST_KEPT = 64  # proposals, and strengths chosen for them, that a session keeps
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Result:
    """What one step did: the edit with its picture and certificate, and how well image and prompt fit."""

    step: Step
    edit: Edit
    before: float  # cosine of source image and prompt (or reference), by the profile's encoder; NaN: not asked for
    after: float  # the same of the edited image
    strength: float  # with which the edit was made, whether it was given or chosen

    @property
    def said(self) -> Statement:
        """What the prompt was taken to say: an attribute, which a denial reverses."""
        return denials.single(self.step.prompt)

    @property
    def image(self) -> Tensor:
        """The edited image [1,3,R,R] in [-1,1]."""
        assert self.edit.image is not None  # the editor renders every edit
        return self.edit.image

    @property
    def understood(self) -> bool:
        """Whether the cosine rose (fell, where the strength is negative) by more than NOISE_GAIN."""
        gain = self.after - self.before
        return (-gain if self.strength < 0 else gain) > NOISE_GAIN


class Session:
    """`Editor.session(source)`; `earlier` edits of a sequence, whose canvas the source holds, stay in force."""

    def __init__(self, editor: Editor, source: Source, earlier: tuple[EarlierEdit, ...] = ()):
        self.editor, self.source, self.earlier = editor, source, earlier
        self._proposals: dict[tuple, Edit] = {}
        self._strengths: dict[tuple, Tensor] = {}
        self._unedited: Tensor | None = None

    @torch.no_grad()
    def edit(
        self,
        step: Step,
        chosen: float | None = None,
        certified: bool = True,
        scored: bool = True,
        continued: bool = False,
    ) -> Result:
        """The source edited as `step` asks, with its picture, certificate and scores.

        Where the step's mask meets those of earlier edits, they are applied again. `chosen`: what an automatic strength
        was when the edit was first made (Result.strength), which is taken again. certified, scored: False leaves out
        the certificate or the two cosines, which then are NaN. continued: another edit follows on the edited canvas,
        for which a method that reads the tail needs what it wrote; without, the tail runs on windows.

        Raises ValueError for a step that makes no sense (`Editor.condition`, `Editor.mask_cells`).
        """
        editor, source = self.editor, self.source
        condition = editor.condition(step)
        proposal = self._kept(self._proposals, _key(condition), lambda: editor.method.propose(source, condition))
        edit, strength = self._scaled(proposal.with_(mask=editor.mask(proposal, step)), step, condition, chosen)
        render = partial(editor.method.render, keep_tail=continued and editor.method.reads_tail)
        edit = combine_with_earlier(render, source, render(source, edit), self.earlier)
        return self._result(step, edit, condition, strength, certified, scored)

    @torch.no_grad()
    def edits(
        self, steps: Sequence[Step], certified: bool = True, scored: bool = True, together: bool | None = None
    ) -> list[Result]:
        """The source edited as each step asks, each edit by itself as `edit` makes it.

        together: those that can be are proposed and rendered as one batch, which a GPU does in little more time than
        one edit; equal up to rounding. None: on a GPU. Raises ValueError as `edit` does.
        """
        together = self.source.w.is_cuda if together is None else together
        if not together or self.earlier:
            return [self.edit(step, certified=certified, scored=scored) for step in steps]
        conditions, results = [self.editor.condition(step) for step in steps], {}
        for rows in batches(self.editor, steps):
            made = edited_together(self.editor, self.source, [steps[n] for n in rows], [conditions[n] for n in rows])
            for n, (edit, strength) in zip(rows, made, strict=True):
                results[n] = self._result(steps[n], edit, conditions[n], strength, certified, scored)
        return [results[n] for n in range(len(steps))]

    def _result(
        self, step: Step, edit: Edit, condition: Condition, strength: float, certified: bool, scored: bool
    ) -> Result:
        """An edit with its picture, and what `certified` and `scored` ask to be measured on it."""
        unedited, image = self.source.image, edit.image
        assert unedited is not None and image is not None  # both walked every site
        if certified:
            edit = edit.with_(
                certificate=certify(unedited, image, edit.mask, self.editor.halo, self.editor.method.local)
            )
        before = after = float("nan")
        if scored:
            self._unedited = self.editor.embed(unedited) if self._unedited is None else self._unedited
            before, after = _cosines((self._unedited, self.editor.embed(image)), condition)
        return Result(step, edit, before, after, strength)

    def _scaled(self, edit: Edit, step: Step, condition: Condition, chosen: float | None) -> tuple[Edit, float]:
        """The proposed edit, with its final mask, at the strength that the step asks for; and that strength."""
        natural = self.editor.natural
        if self.editor.strength(step) != AUTO:
            return edit, float(condition.strength)
        assert natural is not None  # `Editor.strength` has seen to it
        if chosen is not None:
            return natural.scaled(self.source, edit, edit.mask.new_tensor([[chosen]]), step.more), chosen
        strengths = self._kept(
            self._strengths,
            (*_key(condition), edit.mask.cpu().numpy().tobytes()),
            lambda: natural.chosen(self.editor.method, self.source, edit, condition, self.earlier),
        )
        strengths = stepped(strengths, step.more)
        return natural.scaled(self.source, edit, strengths, step.more), strengths.item()

    def _kept(self, kept: dict[tuple, Kept], key: tuple, made: Callable[[], Kept]) -> Kept:
        """What is kept under a key, or is made now; where there is too much, the oldest goes."""
        if key not in kept:
            while len(kept) >= MOST_KEPT:
                del kept[next(iter(kept))]
            kept[key] = made()
        return kept[key]


def _key(condition: Condition) -> tuple:
    """What a proposal depends on besides the source: embeddings, strength and threshold."""
    embeddings = (h.cpu().numpy().tobytes() for h in (condition.h, condition.h_attention))
    return (*embeddings, float(condition.strength), condition.threshold)


def _cosines(embedded: Sequence[Tensor], condition: Condition) -> list[float]:
    """Cosines of images' unit embeddings, [1,D] each, with the condition's h [1,D], in [-1,1]."""
    h = F.normalize(condition.h, dim=1)
    return torch.stack([(each * h).sum() for each in embedded]).tolist()
