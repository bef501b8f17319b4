"""Edits in a row on one canvas: what earlier edits painted is kept outside the new mask, and painted again inside it.

Legend: B samples, r blend resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from where2edit.core.records import Edit, Source
from where2edit.editing.blending import resize_mask

Render = Callable[[Source, Edit], Edit]  # a method's: source and proposed edit -> the edit with its picture


@dataclass(frozen=True)
class Painted:
    """An earlier edit of a row: its shift of every style {site: [B,C]}, and where it was painted [B,1,r,r]."""

    shift: dict[str, Tensor]
    mask: Tensor

    @classmethod
    def of(cls, source: Source, edit: Edit) -> Painted:
        return cls({name: u - source.styles[name] for name, u in edit.styles.items()}, edit.mask)


def carry_on(source: Source, edit: Edit) -> Source:
    """The source of the next edit: the blended canvas in place of the old one, styles as they were."""
    return source.with_(features=source.features | edit.features, rgb=source.rgb | edit.rgb, image=edit.image)


def paint_over(render: Render, source: Source, edit: Edit, earlier: tuple[Painted, ...]) -> Edit:
    """Where the mask of `edit` meets an earlier one, paint again with the shifts of all that are in force there.

    An earlier edit whose mask the new one does not meet has no say: hair that was dyed before does not colour lips. The
    shifts of a site are added, but go no further than unrelated ones of their lengths go together: shifts that point
    the same way would leave the faces that the generator knows.
    """
    painted, met = edit, []
    new = Painted.of(source, edit)
    for one in earlier:
        overlap = edit.mask * resize_mask(one.mask, edit.mask.shape[-1])
        if overlap.any():
            met.append(Painted(one.shift, overlap))
            shift = _together(new, met, overlap)
            styles = {name: source.styles[name] + value for name, value in shift.items()}
            painted = render(carry_on(source, painted), edit.with_(styles=styles, mask=overlap))
    return painted.with_(styles=edit.styles, mask=edit.mask)


def _together(new: Painted, met: list[Painted], where: Tensor) -> dict[str, Tensor]:
    """The shift of every style that the new edit and the earlier ones that meet `where` [B,1,r,r] make, per sample."""
    meets = [((where * one.mask).flatten(1).sum(1, keepdim=True) > 0).float() for one in met]  # [B,1] each
    together = {}
    for name, own in new.shift.items():
        shifts = torch.stack([own, *(one.shift[name] * m for one, m in zip(met, meets, strict=True))])  # [n,B,C]
        total, furthest = shifts.sum(0), shifts.norm(dim=2).norm(dim=0)[:, None]  # [B,C], [B,1]
        together[name] = total * (furthest / total.norm(dim=1, keepdim=True).clamp_min(1e-6)).clamp_max(1)
    return together
