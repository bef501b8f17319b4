"""Which layers and regions an edit selects, as CoralStyleCLIP shows it (Revanur et al. 2023, Figs. 1, 2 and 6-H).

Legend: B edits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PIL import Image
from torch import Tensor

from where2edit.core.records import Edit, Source
from where2edit.files import pictures

CELL = 128  # pixels of one picture


def layer_rows(source: Source, edit: Edit) -> list[list[Tensor]]:
    """A row for each of the B edits of one source: the source, the edit, and the mask of each layer over the source."""
    assert source.image is not None and edit.image is not None and edit.by_layer is not None
    shown = source.repeat(len(edit.image)).image
    assert shown is not None
    masks = [pictures.overlay_mask(shown, mask) for mask in edit.by_layer.masks.values()]
    return [list(row) for row in zip(shown, edit.image, *masks, strict=True)]


def layer_sheet(
    rows: Iterable[Sequence[Tensor]], labels: Sequence[str], layers: Iterable[str], cell: int = CELL
) -> Image.Image:
    """The sheet of such rows, each with its label; layers: the names of the columns of masks."""
    return pictures.sheet(list(rows), labels, ("source", "edit", *layers), cell)
