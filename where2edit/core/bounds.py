"""What numbers may be: bounds that stand in the annotations of configs and at the options of commands.

`steps: Count = 100` in a dataclass of a config, `type=number(Count)` at an option: one place says what is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from where2edit.core.sentences import quoted

MOST_SEED = 2**32 - 1  # the largest that every library takes


@dataclass(frozen=True)
class Bounds:
    """A number from `least` to `most`; `above` and `below` leave out the ends themselves."""

    least: float
    most: float
    above: bool = False
    below: bool = False
    note: str = ""  # a few words for errors, such as what an end means

    def holds(self, value: float) -> bool:
        """Whether the number is allowed; not-a-number never is."""
        low = self.least < value if self.above else self.least <= value
        return low and (value < self.most if self.below else value <= self.most)

    def says(self, value: float) -> str:
        """The end of an error's sentence on a number that is not allowed."""
        return f"is {quoted(value)}; allowed: {self}"

    def __str__(self) -> str:
        low, high = (f"{end:,}" if isinstance(end, int) else f"{end:g}" for end in (self.least, self.most))
        text = f"above {low}, " if self.above else f"{low}, " if self.below else f"{low} to "
        text += f"below {high}" if self.below else f"up to {high}" if self.above else high
        return f"{text} ({self.note})" if self.note else text


Count: TypeAlias = Annotated[int, Bounds(1, 1_000_000)]
CountOrNone: TypeAlias = Annotated[int, Bounds(0, 1_000_000)]  # 0 leaves out what is counted
Few: TypeAlias = Annotated[int, Bounds(1, 1024)]  # of what is in memory at once
Pixels: TypeAlias = Annotated[int, Bounds(8, 4096)]
Cell: TypeAlias = Annotated[int, Bounds(16, 2048)]  # pixels of one picture of a sheet
Seed: TypeAlias = Annotated[int, Bounds(0, MOST_SEED)]
Share: TypeAlias = Annotated[float, Bounds(0, 1)]
ShareBelowOne: TypeAlias = Annotated[float, Bounds(0, 1, below=True)]
PositiveShare: TypeAlias = Annotated[float, Bounds(0, 1, above=True)]
Rate: TypeAlias = Annotated[float, Bounds(0, 10, above=True)]  # a learning rate
Weight: TypeAlias = Annotated[float, Bounds(0, 1_000_000)]  # 0 leaves out what is weighed
Strength: TypeAlias = Annotated[float, Bounds(-1, 1)]
Truncation: TypeAlias = Annotated[float, Bounds(-2, 2, note="1 leaves w as it is, 0 is the mean face")]
Seconds: TypeAlias = Annotated[float, Bounds(0, 86_400, above=True)]
Figure: TypeAlias = Annotated[float, Bounds(-1e12, 1e12)]  # any number that can be compared
