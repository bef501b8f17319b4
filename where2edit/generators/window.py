"""Windows: rectangles of a canvas, so that a generator can be run on a part of the picture.

Legend: r resolution of a canvas, h x w of the part of it that a window shows.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Window:
    """Rows `top` to `bottom` and columns `left` to `right` (ends left out) of a square of `cells` x `cells` cells."""

    cells: int
    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        """How many cells it holds."""
        return (self.bottom - self.top) * (self.right - self.left)

    def at(self, cells: int) -> Window:
        """The same rectangle in finer cells, of which a whole number fits into one of its own."""
        scale, rest = divmod(cells, self.cells)
        assert scale and not rest, f"a grid of {cells} is not finer than one of {self.cells}"
        return Window(cells, *(scale * end for end in (self.top, self.bottom, self.left, self.right)))

    def over(self, cells: int) -> Window:
        """The smallest window of coarser cells that holds it."""
        ends = (self.top, self.bottom, self.left, self.right)
        low, high = ([end * cells // self.cells for end in ends], [-(-end * cells // self.cells) for end in ends])
        return Window(cells, low[0], high[1], low[2], high[3])

    def grown(self, by: int) -> Window:
        """The window with `by` more cells on every side, as far as there are any."""
        low = (max(self.top - by, 0), max(self.left - by, 0))
        high = (min(self.bottom + by, self.cells), min(self.right + by, self.cells))
        return Window(self.cells, low[0], high[0], low[1], high[1])

    def joined(self, other: Window) -> Window:
        """The smallest window that holds both."""
        low = (min(self.top, other.top), min(self.left, other.left))
        high = (max(self.bottom, other.bottom), max(self.right, other.right))
        return Window(self.cells, low[0], high[0], low[1], high[1])

    def crop(self, x: Tensor, shows: Window | None = None) -> Tensor:
        """What is in the window: a view of x [...,h,w], which shows the window `shows` (None: all, [...,r,r])."""
        cells = max(self.cells, shows.cells if shows else 0)
        inner, outer = self.at(cells), (shows or Window(1, 0, 1, 0, 1)).at(cells)
        scale = x.shape[-1] / (outer.right - outer.left)
        rows, columns = (
            slice(round((low - first) * scale), round((high - first) * scale))
            for low, high, first in ((inner.top, inner.bottom, outer.top), (inner.left, inner.right, outer.left))
        )
        return x[..., rows, columns]
