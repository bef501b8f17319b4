"""What a prompt asks of the judge: that one of its concepts is there, or with a leading "-" that it is not.

Legend: C concepts of the judge.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from where2edit.core.registry import nearest


@dataclass(frozen=True)
class Asked:
    """One output of the judge, and whether it should be high (sign 1) or low (sign -1)."""

    column: int
    sign: int

    @classmethod
    def of(cls, concept: str, names: tuple[str, ...]) -> Asked:
        """What `concept` asks for, such as "Smiling" or "-Young". Raises ValueError with the nearest known name."""
        name = concept.removeprefix("-")
        if name not in names:
            raise ValueError(f"the judge knows no concept '{name}'; {nearest(name, names)}")
        return cls(names.index(name), -1 if concept.startswith("-") else 1)

    @classmethod
    def from_number(cls, number: float) -> Asked:
        """The inverse of `number`."""
        return cls(int(abs(number)) - 1, 1 if number > 0 else -1)

    @property
    def number(self) -> int:
        """The column from 1 on, negative for an absence: one number that a metric can keep."""
        return self.sign * (self.column + 1)

    def log_odds(self, logits: Tensor) -> Tensor:
        """Log-odds of what is asked for, from the judge's logits [...,C]: [...]."""
        return self.sign * logits[..., self.column]
