"""What a pickle may become: plain values, limits on what they cost, and stand-ins for objects of foreign classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

MOST_STEPS = 1_000_000  # operations of a file, and items that its calls read; the largest official file has 20,000
DEEPEST = 100  # containers within containers
LONGEST_KEY = 16  # items of a tuple that is a key
LARGEST_KEY = 1 << 60  # of an integer; far larger ones can be made to meet in one place of a dictionary


class Refused(ValueError):
    """What makes a file unreadable; the text is a clause of the final sentence."""


class Unread(ValueError):
    """The final sentence on a file that is not read."""


@dataclass
class Budget:
    """What reading a file may cost: steps, and bytes made from its own, each of which is needed once or twice."""

    size: int  # of the file
    steps: int = MOST_STEPS
    made: int = 0

    def spend(self, steps: int) -> None:
        """Count steps. Raises Refused when there are too many."""
        self.steps -= steps
        if self.steps < 0:
            raise Refused(f"it has more than {MOST_STEPS} operations")

    def take(self, count: int) -> None:
        """Count bytes that are made. Raises Refused where they are several times what the file holds."""
        self.made += count
        if self.made > 4 * self.size + 4096:
            raise Refused("it expands to several times its size")


@dataclass(frozen=True)
class Name:
    """A name in a pickle that a maker has, or that may stand as a value ("torch.float32")."""

    text: str


class Pending(ABC):
    """A value that is complete only when its state has come, later in the file."""

    made: Any = None  # what it became; None until then

    @abstractmethod
    def build(self, state: Any) -> Any:
        """The value, from its state. Raises Refused for a state that does not fit."""


@dataclass(eq=False)
class Record(Pending):
    """Stands for an object of any foreign class: its attributes as data, no behaviour."""

    class_name: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def build(self, state: Any) -> Record:
        self.attributes = state if isinstance(state, dict) else {}
        return self

    def members(self) -> Iterator[tuple[str, Any]]:
        """Parameters, buffers and submodules by name, however the class keeps them."""
        for name, value in self.attributes.items():
            if name in ("_parameters", "_buffers", "_modules") and isinstance(value, Mapping):
                yield from ((str(key), item) for key, item in value.items() if item is not None)
            elif isinstance(value, Tensor | Record):
                yield str(name), value

    def tensors(self) -> dict[str, Tensor]:
        """The state dict of a module that was read as a Record. Raises Refused for one with too many tensors."""
        flat: dict[str, Tensor] = {}
        waiting: list[tuple[str, Any]] = [("", self)]
        parts = 0
        while waiting:
            name, value = waiting.pop()
            if not isinstance(value, Record):
                flat[name] = value
                continue
            members = [(f"{name}.{own}" if name else own, item) for own, item in value.members()]
            parts += 1 + len(members)
            if parts > MOST_STEPS or name.count(".") > DEEPEST:
                raise Refused(f"its modules have more than {MOST_STEPS} parts, or are more than {DEEPEST} deep")
            waiting += reversed(members)
        return flat


class Attributes(Pending):
    """Stands for an object of which only the attributes matter, as a dictionary (argparse.Namespace)."""

    def build(self, state: Any) -> dict:
        if not isinstance(state, dict):
            raise Refused("it holds options that are no dictionary")
        return state


def key(value: Any) -> Any:
    """`value`, once it is known to be a plain key, which is hashed quickly. Raises Refused for any other."""
    parts = value if type(value) is tuple and len(value) <= LONGEST_KEY else (value,)
    for part in parts:
        plain = (
            part is None or type(part) in (str, bytes, float, bool) or (type(part) is int and abs(part) < LARGEST_KEY)
        )
        if not plain:
            raise Refused(f"it has a {type(part).__name__} as a key, or too long a one")
    return value


def check_nesting(root: Any) -> None:
    """Raise Refused for a value that contains itself, or whose containers are more than DEEPEST deep."""
    depths: dict[int, int] = {}  # of finished containers; 0: on the way from the root to the one that is looked at
    waiting = [(root, False)]
    while waiting:
        value, finished = waiting.pop()
        inside = _inside(value) or ()
        if finished:
            depth = 1 + max((depths.get(id(item), 0) for item in inside), default=0)
            if depth > DEEPEST:
                raise Refused(f"its containers are more than {DEEPEST} deep")
            depths[id(value)] = depth
        elif depths.get(id(value)) == 0:
            raise Refused("it holds a container that contains itself")
        elif id(value) not in depths:
            depths[id(value)] = 0
            waiting.append((value, True))
            waiting.extend((item, False) for item in inside if _inside(item) is not None)


def _inside(value: Any) -> Any:
    """What a container holds; None for what is none."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, Record):
        return (value.attributes,)
    return value if isinstance(value, list | tuple) else None
