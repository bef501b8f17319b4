"""Edits in a row on one canvas: earlier edits stay as they are outside the new mask and are applied again inside it.

Legend: B samples, C numbers in the style of a site, r blend resolution, n shifts that meet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from where2edit.core.records import Edit, Source
from where2edit.editing.masks import resize_mask

Render = Callable[[Source, Edit], Edit]  # a method's: source and proposed edit -> the edit with its picture


@dataclass(frozen=True)
class EarlierEdit:
    """An earlier edit of a sequence: its shift u - s of every style {site: [B,C]}, and its mask [B,1,r,r]."""

    shift: dict[str, Tensor]
    mask: Tensor

    @classmethod
    def of(cls, source: Source, edit: Edit) -> EarlierEdit:
        return cls({name: u - source.styles[name] for name, u in edit.styles.items()}, edit.mask)


def next_source(source: Source, edit: Edit) -> Source:
    """The source of the next edit: the blended canvas in place of the old one, styles as they were.

    What the old canvas had after the blend site is left out where the edit did not keep what its own tail wrote.
    """
    names = list(source.features)
    blended = min((names.index(name) for name in edit.features), default=len(names))
    before = {name: source.features[name] for name in names[:blended]}
    canvas = {"features": before | edit.features, "rgb": source.rgb | edit.rgb}
    return source.with_(**canvas, residual=edit.residual, image=edit.image, layers=edit.layers)


def combine_with_earlier(render: Render, source: Source, edit: Edit, earlier: tuple[EarlierEdit, ...]) -> Edit:
    """A rendered edit, rendered once more wherever its mask overlaps that of an earlier edit, with both shifts.

    The overlaps are taken one after the other. In each, the shifts of the new edit and of all earlier ones that overlap
    it are combined (`combined_shift`), so that hair that was made purple stays purple where it is then made curly. An
    earlier edit that does not overlap has no influence. Styles and masks of the result are those of `edit`.
    """
    rendered, overlapping = edit, []
    new = EarlierEdit.of(source, edit)
    for one in earlier:
        overlap = edit.mask * resize_mask(one.mask, edit.mask.shape[-1])
        if overlap.any():
            overlapping.append(EarlierEdit(one.shift, overlap))
            shift = combined_shift(new, overlapping, overlap)
            styles = {name: source.styles[name] + value for name, value in shift.items()}
            # `rendered` has the edit's own tail layer already; both shifts are in force at every layer of the trunk.
            again = edit.with_(styles=styles, mask=overlap, tail=None, by_layer=None)
            rendered = render(next_source(source, rendered), again)
    return rendered.with_(styles=edit.styles, mask=edit.mask, by_layer=edit.by_layer)


def combined_shift(new: EarlierEdit, overlapping: list[EarlierEdit], where: Tensor) -> dict[str, Tensor]:
    """The shift {site: [B,C]} of a new edit together with those earlier ones whose masks meet `where` [B,1,r,r].

    Per site and sample: sum_i d_i, with its norm capped at sqrt(sum_i |d_i|^2), the norm that the sum of unrelated
    (orthogonal) shifts would have. Shifts that point the same way would otherwise leave the faces that the generator
    knows.
    """
    meets = [((where * one.mask).flatten(1).sum(1, keepdim=True) > 0).float() for one in overlapping]  # [B,1] each
    combined = {}
    for name, own in new.shift.items():
        others = (one.shift[name] * met for one, met in zip(overlapping, meets, strict=True))
        shifts = torch.stack([own, *others])  # [n,B,C]
        total, cap = shifts.sum(0), shifts.norm(dim=2).norm(dim=0)[:, None]  # [B,C], [B,1]
        combined[name] = total * (cap / total.norm(dim=1, keepdim=True).clamp_min(1e-6)).clamp_max(1)
    return combined
