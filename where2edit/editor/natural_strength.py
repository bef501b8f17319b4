"""Natural strength: for each face and prompt the smallest strength at which the edit shows, and no more.

One strength for all prompts overshoots with some and does nothing with others. The rise of the prompt's cosine over
that of the unedited face, in standard deviations of the cosine over unedited faces (editing/cosine_calibration.py), is
comparable between prompts. An edit should bring a face to where natural examples are: the unedited faces that fit the
prompt best. It is far for a woman's beard and near for a man's, and a face that shows what is asked for already needs
little more. A rise above two is seldom needed, and prompts that never get there look right at about three quarters of
what they can reach. A reversed edit, of a negative strength, is to bring the face to those that fit the prompt least,
and what a face does not show needs no reversing. Ours, not the paper's.

The attention and its mask do not depend on the strength, and styles are affine in it. An edit is therefore proposed
once, at the top of a ladder of strengths, and seen at each rung through the preview head; between two rungs their
pictures are cross-faded, which costs next to nothing.

Legend: n sources, m edits of each, B = n*m, P strengths of the ladder with those between its rungs, s pixels
of a picture, D embedding width.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.bounds import Bounds, PositiveShare
from where2edit.core.config import check_values
from where2edit.core.devices import constant
from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.cosine_calibration import CosineCalibration, canvas_picture
from where2edit.editing.rendering import moved
from where2edit.editing.sequences import EarlierEdit, combine_with_earlier
from where2edit.methods.base import Method
from where2edit.text_image.base import TextImage

AUTO = "auto"  # the strength that means natural strength
LEAST = 0.3  # standard deviations that are asked even of a face that has it already, so that the edit shows
STEP = 1.5  # factor of one step more, and divisor of one step less
MOST_STEPS = 4  # up or down
Rise: TypeAlias = Annotated[float, Bounds(0, 100, above=True)]  # in standard deviations over unedited faces


@dataclass(frozen=True)
class ReverseConfig:
    """The `natural_strength.reverse` section: what differs in edits that are reversed, as denials are."""

    # Share of the unedited faces, those that fit the prompt least, which edits are to come up to.
    examples: PositiveShare = 0.2
    rise: Rise = 4.0  # asked at most; more than of other edits, for what is to go was there for certain
    scale: PositiveShare = 0.5  # of the ladder: far against a direction faces fall apart sooner than along it

    def __post_init__(self):
        check_values(self, "natural_strength.reverse")


@dataclass(frozen=True)
class NaturalStrengthConfig:
    """The `natural_strength` section."""

    calibration: str | None = None  # file of scripts/calibrate.py; None: without a number, method.strength is used
    faces: Annotated[int, Bounds(2, 1_000_000)] = 140  # unedited faces behind a new calibration
    # Share of the unedited faces, those that fit the prompt best, which edits are to come up to.
    examples: PositiveShare = 0.1
    # Of the cosine, in standard deviations over unedited faces, that is asked of an edit at most.
    rise: Rise = 2.1
    share: PositiveShare = 0.75  # of the largest rise on the ladder: asked of prompts that cannot rise that much
    ladder: tuple[PositiveShare, ...] = (0.06, 0.12, 0.18)  # strengths at which an edit is looked at, rising
    # Cross-faded pictures between two rungs, and between the unedited face and the first.
    fades: Annotated[int, Bounds(0, 16)] = 2
    reverse: ReverseConfig = field(default_factory=ReverseConfig)

    def __post_init__(self):
        check_values(self, "natural_strength")
        rising = all(low < high for low, high in zip((0.0, *self.ladder), self.ladder, strict=False))
        if not self.ladder or not rising:
            raise ValueError(f"natural_strength.ladder is {list(self.ladder)}; give rising numbers above 0, up to 1")

    def strengths(self) -> tuple[float, ...]:
        """The P strengths at which cosines are known: the rungs and what is faded between them, rising."""
        parts = self.fades + 1
        gaps = zip((0.0, *self.ladder), self.ladder, strict=False)
        return tuple(low + (high - low) * (i + 1) / parts for low, high in gaps for i in range(parts))


class NaturalStrength:
    """Chooses strengths of a profile's edits. `proposed`: the strength at which edits must be proposed to it."""

    def __init__(
        self, config: NaturalStrengthConfig, calibration: CosineCalibration, encoder: TextImage, proposed: float
    ):
        self.config, self.calibration, self.encoder, self.proposed = config, calibration, encoder, proposed
        self._unedited: dict[bool, tuple[Tensor, Tensor, Tensor]] = {}  # by whether the residual of a photo is shown

    def applied(
        self,
        method: Method,
        source: Source,
        edit: Edit,
        condition: Condition,
        earlier: tuple[EarlierEdit, ...] = (),
        more: int = 0,
    ) -> tuple[Edit, Tensor]:
        """The edits that were proposed at `proposed` at their natural strength, and that strength [B,1].

        The masks of the B edits are final: a user's own counts. Edits whose condition has a negative strength are
        reversed. `more` steps up (or down) are taken from the natural strength. `earlier`: as in
        `combine_with_earlier`.
        """
        strengths = stepped(self.chosen(method, source, edit, condition, earlier), more)
        return self.scaled(source.repeat(condition.per_source), edit, strengths, more), strengths

    def scaled(self, source: Source, edit: Edit, strengths: Tensor, more: int = 0) -> Edit:
        """The edits that were proposed at `proposed` at strengths [B,1]; source of the same length.

        Colours, which a tail layer holds, are fitted to be whole at `proposed`; only steps more or less change them.
        """
        tail, source_styles = edit.tail, source.styles
        if more and tail is not None:
            styles = {name: torch.lerp(source_styles[name], u, STEP**more) for name, u in tail.styles.items()}
            tail = replace(tail, styles=styles)
        return at_strength(source, edit.with_(tail=tail), strengths.abs() / self.proposed)

    def chosen(
        self, method: Method, source: Source, edit: Edit, condition: Condition, earlier: tuple[EarlierEdit, ...] = ()
    ) -> Tensor:
        """Natural strengths [B,1] of B edits that were proposed at `proposed`.

        Strengths of reversed edits are negative, and 0 where the face does not show what is to go. An edit that no
        strength changes, because its mask is empty or it is one of colour alone, keeps `proposed`. The residual of a
        photo hides a part of each edit, so that more is needed there than for the face that its latents draw: as much
        as the photo asks for, but at most a step more, beyond which that face falls apart.
        """
        drawn = self._found(method, source.plain(), edit, condition, earlier)
        if not source.residual:
            return drawn
        shown, most = self._found(method, source, edit, condition, earlier), STEP * drawn
        return torch.where(shown.abs() > most.abs(), most, shown)

    @torch.no_grad()
    def _found(
        self, method: Method, source: Source, edit: Edit, condition: Condition, earlier: tuple[EarlierEdit, ...]
    ) -> Tensor:
        """Natural strengths [B,1], found by looking at the edits of this source, with or without its residual."""
        config, strengths = self.config, constant(self.config.strengths(), edit.mask)
        repeated = source.repeat(condition.per_source)
        edited = edit.mask.flatten(1).any(1, keepdim=True) & moved(repeated, edit)  # [B,1]
        sign = torch.where(condition.strengths < 0, -1.0, 1.0).expand(len(edited), 1)
        proposed = self.proposed * sign
        if not edited.any():
            return proposed
        last, unedited = (each.repeat_interleave(condition.per_source, 0) for each in self.unedited(method, source))
        aim = condition.h.float() * sign  # what the edited face is to be close to
        goal = self.goal(unedited, aim, sign < 0)
        scale = torch.where(sign < 0, config.reverse.scale, 1.0)  # of the ladder, [B,1]
        repeated, rises = repeated.with_(image=last), edit.mask.new_zeros(len(edit.mask), 0)
        for rung in config.ladder:
            seen = self.look(method, repeated, edit, earlier, rung * scale)
            rises = torch.cat([rises, self.rises(self.faded(last, seen), unedited, aim)], 1)
            last = seen
            # Once the share of its largest rise is enough, an edit has met its goal: higher rungs change nothing.
            if ((config.share * rises.amax(1, keepdim=True) >= goal) | ~edited).all():
                break
        found = natural(strengths[: rises.shape[1]], rises, goal, config.share)
        return torch.where(edited, torch.where(goal > 0, found, 0) * scale * sign, proposed)

    def goal(self, unedited: Tensor, aim: Tensor, reverse: Tensor) -> Tensor:
        """The rises [B,1] towards `aim` [B,D] asked of faces [B,D]; `reverse` [B,1] says which edits are reversed."""
        most, away = self.config.rise, self.config.reverse
        shown, gone = (self.calibration.below_natural(unedited, aim, p) for p in (self.config.examples, away.examples))
        return torch.where(reverse, gone[:, None].clamp(0, away.rise), shown[:, None].clamp(min(LEAST, most), most))

    def rises(self, pictures: Tensor, unedited: Tensor, h: Tensor) -> Tensor:
        """By how many standard deviations the cosine with h [B,D] is above the unedited's [B,D], in each picture.

        pictures [B,P,3,s,s] -> [B,P].
        """
        seen = F.normalize(self.encoder.image(pictures.flatten(0, 1)).float(), dim=1).unflatten(0, pictures.shape[:2])
        gained = ((seen - unedited[:, None]) * F.normalize(h.float(), dim=1)[:, None]).sum(2)  # [B,P,D] -> [B,P]
        return gained / self.calibration.spread(h.float())[:, None]

    def unedited(self, method: Method, source: Source) -> tuple[Tensor, Tensor]:
        """Pictures [n,3,s,s] of the sources as they are, and unit embeddings [n,D]; those of the last call are kept."""
        assert source.image is not None  # what tells one canvas from another: an edit gives its source a new one
        shown = bool(source.residual)
        if shown not in self._unedited or self._unedited[shown][0] is not source.image:
            frozen = method.frozen
            preview = frozen.own_preview
            picture = canvas_picture(frozen.generator, source, frozen.blend_site, preview)
            embedded = F.normalize(self.encoder.image(picture).float(), dim=1)
            self._unedited[shown] = (source.image, picture, embedded)
        return self._unedited[shown][1:]

    def look(
        self, method: Method, source: Source, edit: Edit, earlier: tuple[EarlierEdit, ...], rung: Tensor
    ) -> Tensor:
        """Pictures [B,3,s,s] of B edits at strengths `rung` [B,1], without sign; source and edit have the length B.

        Without the edit's colours: they are the same at every rung, and would meet the goal before anything else shows.
        """
        edit = edit.with_(tail=None)
        render = partial(method.render, use_preview_head=method.frozen.preview_head is not None)
        made = render(source, at_strength(source, edit, rung / self.proposed))
        image = combine_with_earlier(render, source, made, earlier).image
        assert image is not None  # it was rendered
        return image

    def faded(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Pictures [B,3,s,s] at two rungs -> the cross-faded ones between them, and the upper: [B,fades+1,3,s,s]."""
        parts = self.config.fades + 1
        weight = torch.arange(1, parts + 1).to(lower).view(-1, 1, 1, 1) / parts
        return torch.lerp(lower[:, None], upper[:, None], weight)


def natural(strengths: Tensor, rises: Tensor, rise: Tensor, share: float) -> Tensor:
    """The smallest strengths [B,1] at which each edit's rise reaches min(rise, share * its largest).

    strengths [P] in rising order, rises [B,P], rise [B,1]; at strength 0 the rise is 0, and between two strengths it is
    a straight line. Where no strength gains anything, the one that loses least.
    """
    best, least_loss = rises.max(1, keepdim=True)  # [B,1]
    goal = (share * best).minimum(rise)
    first = (rises >= goal).int().argmax(1, keepdim=True)  # the first strength that reaches the goal
    x, y = (F.pad(each, (1, 0)) for each in (strengths.expand_as(rises), rises))
    x0, x1, y0, y1 = (each.gather(1, first + offset) for each in (x, y) for offset in (0, 1))
    way = ((goal - y0) / torch.where(y1 > y0, y1 - y0, 1)).clamp(0, 1)
    return torch.where(best > 0, torch.lerp(x0, x1, way), strengths[least_loss])


def at_strength(source: Source, edit: Edit, factor: Tensor) -> Edit:
    """The proposed edits at `factor` [B,1] times the strength that they were proposed with; source of the same length.

    Styles are affine in the strength, the mask does not depend on it.
    """
    styles = {name: torch.lerp(source.styles[name], u, factor) for name, u in edit.styles.items()}
    return edit.with_(styles=styles, shift=None if edit.shift is None else edit.shift * factor)


def stepped(strengths: Tensor, more: int) -> Tensor:
    """Strengths `more` natural steps up, or down where that is negative; from -1 to 1."""
    return (strengths * STEP**more).clamp(-1, 1)
