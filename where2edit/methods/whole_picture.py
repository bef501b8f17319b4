"""What methods without a mask share: they change the styles of the whole generator, and so the whole picture.

Legend: n sources, m edits of each, B = n*m, C numbers of a style, S edited sites, r blend resolution.
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from where2edit.core.records import Condition, Edit, Source, TailLayer
from where2edit.editing.blended_walk import blended_sites
from where2edit.methods.base import Method


class WholePicture(Method):
    """A method whose edits are in force at every site and in every pixel, unless the user gives a mask.

    The styles up to the blend site are the edit's, those after it its tail layer, both under a mask of ones: what a
    user's mask leaves out is the source's, as with every method, and under no mask the picture is plain synthesis.
    """

    local = False

    @abstractmethod
    def styles(self, source: Source, condition: Condition) -> tuple[dict[str, Tensor], Tensor]:
        """Source and condition of n*m edits each -> {site: [B,C]} for every site, and lengths of the change [B,S].

        Styles must be affine in the strength, and those of the source, bit for bit, at strength 0.
        """

    def propose(self, source: Source, condition: Condition) -> Edit:
        """n sources, B conditions -> B edits without their pictures."""
        frozen, repeated = self.frozen, source.plain().repeat(condition.per_source)
        styles, shift = self.styles(repeated, condition)
        last = blended_sites(frozen.generator, frozen.blend_site)[-1].name
        later = [site.name for site in frozen.generator.after(last)]
        ones = frozen.flat_mask(repeated, 1.0)
        return Edit(
            styles=styles | {name: repeated.styles[name] for name in later},
            tail=TailLayer({name: styles[name] for name in later}, ones),
            shift=shift,
            mask=ones,
            reversed=(condition.strengths < 0).expand(len(condition), 1),
        )
