"""Windows that hold what is active of a mask, so that work is done there only.

Legend: r blend resolution.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from torch import Tensor

from where2edit.generators.base import Generator, Site
from where2edit.generators.window import Window


def bounding_window(active: Tensor) -> Window | None:
    """The smallest window that holds every active cell, bool [r,r]; None where nothing is active."""
    active = active.cpu()  # in one piece: a GPU is waited for once
    rows, columns = (active.any(dim).nonzero().flatten().tolist() for dim in (1, 0))
    return Window(len(active), rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) if rows else None


def whole(mask: Tensor) -> Window:
    """The window of all cells of a mask [B,1,r,r]."""
    cells = mask.shape[-1]
    return Window(cells, 0, cells, 0, cells)


def windows(active: Tensor, reach: int) -> list[Window]:
    """Windows that hold every active cell, bool [r,r], and `reach` cells around it; none where nothing is active.

    One for each connected part of the mask, or for several together where that is cheaper.
    """
    from scipy import ndimage

    found = ndimage.find_objects(ndimage.label(active.cpu().numpy(), structure=np.ones((3, 3)))[0])
    boxes = [Window(len(active), r.start, r.stop, c.start, c.stop).grown(reach) for r, c in found]

    def cost(window: Window) -> int:
        return window.grown(reach).area

    while pair := next((p for p in combinations(boxes, 2) if cost(p[0].joined(p[1])) <= cost(p[0]) + cost(p[1])), None):
        boxes = [box for box in boxes if box not in pair] + [pair[0].joined(pair[1])]
    return boxes


def needed(generator: Generator, before: str, window: Window, site: Site, upto: str | None = None) -> Window:
    """What `site`, which enlarges, must read of the canvas that `before` wrote, so that `window` is right in the end.

    The end is the image or, with `upto`, the canvas after that site; `window` is in cells of any grid that divides it.
    """
    end = generator.resolution if upto is None else generator.site(upto).resolution
    return window.at(end).grown(generator.halo(before, upto=upto)).over(site.resolution // site.up)
