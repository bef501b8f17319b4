"""none: the edited canvas is mixed as it is, as in the paper and the released code."""

from __future__ import annotations

from torch import Tensor

from where2edit.core.registry import NoOptions
from where2edit.editing.seams import SEAMS
from where2edit.editing.seams.base import Seam


@SEAMS.register("none")
class NoSeam(Seam):
    """No seam: the edited tensor is blended as it is."""

    def __init__(self, options: NoOptions):
        pass

    def __call__(self, edited: Tensor, source: Tensor, mask: Tensor) -> Tensor:
        return edited
