"""Pickles read as data: a walk over the opcodes that builds plain values, and calls nothing but functions of ours.

Python's own unpickler calls and changes whatever a file names; even the few classes of NumPy that arrays need can be
led to write outside their memory. Here a name is looked up in a list of makers, functions from plain values to plain
values (pickled_arrays.py, pickled_tensors.py); a name that is not on it is refused. What a file may cost is limited
before anything is built.
"""

from __future__ import annotations

import io
import mmap
import pickletools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from where2edit.files.formats.pickled_values import Budget, Name, Pending, Refused, Unread, check_nesting, key
from where2edit.files.regular import NAME, regular_file, shown

Maker = Callable[..., Any]  # from the plain values that a pickle gives to a plain value
Makers = Mapping[str, "Maker | None"]  # by name; None: the name may stand in the file, but not be called

ADVICE = "get the file from its official source and check its sha256"
MOST_BYTES = 1 << 32  # of a file
LONGEST_LINE = 1 << 26  # bytes of a text in the protocols that write lines
LONGEST_TEXT = 1 << 20  # letters of a text beyond Latin-1; longer ones are bytes of arrays, which are Latin-1
LARGEST_NUMBER = 1 << 512


class Mapped(mmap.mmap):
    """A file in memory of which no line is longer than LONGEST_LINE."""

    def readline(self) -> bytes:
        end = self.find(b"\n", self.tell(), self.tell() + LONGEST_LINE)
        return self.read(LONGEST_LINE if end < 0 else end + 1 - self.tell())


@dataclass
class Walk:
    """One walk over a pickle in `stream`, which stands behind it afterwards."""

    stream: io.BytesIO | mmap.mmap
    makers: Makers
    origin: str  # what errors call the file
    budget: Budget
    outside: Callable[[Any], Any] | None = None  # data beside the pickle, to which it refers
    stack: list = field(default_factory=list)
    marked: list[list] = field(default_factory=list)  # the stacks under the marks
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self) -> Any:
        """The value that the pickle describes. Raises ValueError in one sentence."""
        try:
            for opcode, argument, _ in pickletools.genops(self.stream):
                self.budget.spend(1)
                action = ACTIONS.get(opcode.name)
                if action is None:
                    raise Refused(f"it uses the operation {opcode.name}, which is not read; nothing of it was run")
                action(self, argument)
            if len(self.stack) != 1 or self.marked:
                raise Refused("it leaves more than one value, or none")
            check_nesting(self.stack[0])
            return self.stack[0]
        except Refused as error:
            raise Unread(f"{shown(self.origin)} is not read: {error}; {ADVICE}") from None
        except Unread:
            raise
        except Exception as error:  # a damaged pickle makes every operation fail in its own way
            reason = shown(str(error).split("\n")[0] or type(error).__name__)
            words = (
                f"{shown(self.origin)} is broken or not a readable pickle ({reason}); it is not read further, {ADVICE}"
            )
            raise Unread(words) from None

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise Refused("it holds a number of more than 512 bits")
        if isinstance(value, str) and len(value) > LONGEST_TEXT and sys.getsizeof(value) > 1.5 * len(value):
            raise Refused(f"it holds a text of {len(value)} letters")
        self.stack.append(value)

    def mark(self, _: Any) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def since_mark(self) -> list:
        """Take what lies above the last mark, and the mark."""
        items, self.stack = self.stack, self.marked.pop()
        return items

    def take(self, count: int) -> list:
        """Take the last `count` values."""
        if len(self.stack) < count:
            raise Refused("it takes more values than it has")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return items

    def pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def remember(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def recall(self, index: int) -> None:
        value = self.memo[index]
        made = isinstance(value, Pending) and value.made is not None
        self.stack.append(value.made if made else value)

    def append(self, items: list) -> None:
        if type(self.stack[-1]) is not list:
            raise Refused(f"it appends to a {type(self.stack[-1]).__name__}")
        self.stack[-1].extend(items)

    def set_items(self, items: list) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise Refused(f"it sets items of a {type(target).__name__}")
        target.update(zip(map(key, items[::2]), items[1::2], strict=True))

    def add(self, items: list) -> None:
        if type(self.stack[-1]) is not set:
            raise Refused(f"it adds to a {type(self.stack[-1]).__name__}")
        self.stack[-1].update(map(key, items))

    def name(self, module: Any, name: Any) -> None:
        """Put a name on the stack. Raises Refused for one that no maker has."""
        if f"{module}.{name}" not in self.makers:
            asked, known = shown(f"{module}.{name}", NAME), f"the {len(self.makers)} names that may be read"
            raise Refused(f"it asks for '{asked}', which is not among {known}; nothing of it was run")
        self.stack.append(Name(f"{module}.{name}"))

    def call(self, _: Any) -> None:
        """Call the maker of a name with a tuple of values."""
        name, arguments = self.take(2)
        maker = self.makers.get(name.text) if isinstance(name, Name) else None
        if maker is None or type(arguments) is not tuple:
            raise Refused("it calls what cannot be called; nothing of it was run")
        self._count(arguments)
        self.push(maker(*arguments))

    def _count(self, arguments: tuple) -> None:
        """Count what a maker reads: a file may give it the same large value many times."""
        self.budget.spend(sum(len(value) for value in arguments if isinstance(value, list | tuple | dict)))
        self.budget.take(sum(len(value) for value in arguments if isinstance(value, str | bytes | bytearray)))

    def call_with_names(self, _: Any) -> None:
        if self.take(1) != [{}]:
            raise Refused("it calls with named arguments")
        self.call(None)

    def build(self, _: Any) -> None:
        """Complete a value that waits for its state; a dictionary needs none, and what it is given is left out."""
        value, state = self.take(2)
        self._count((state,) if type(state) is not tuple else state)
        if isinstance(value, Pending):
            value.made = value.build(state)
            value = value.made
        elif type(value) is not dict:
            raise Refused(f"it changes a {type(value).__name__}")
        self.stack.append(value)

    def refer(self, _: Any) -> None:
        """Replace a reference by the data beside the pickle to which it refers."""
        if self.outside is None:
            raise Refused("it refers to data outside the pickle")
        self.stack.append(self.outside(*self.take(1)))


def _pairs(items: list) -> dict:
    """A dictionary of keys and values in turn."""
    return dict(zip(map(key, items[::2]), items[1::2], strict=True))


VALUES = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING")
VALUES += ("SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES")
VALUES += ("BINBYTES8", "BYTEARRAY8")
ACTIONS: dict[str, Callable[[Walk, Any], None]] = {
    **{opcode: Walk.push for opcode in VALUES},
    **{opcode: Walk.remember for opcode in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")},
    **{opcode: Walk.recall for opcode in ("GET", "BINGET", "LONG_BINGET")},
    **{opcode: Walk.call for opcode in ("REDUCE", "NEWOBJ")},
    **{opcode: lambda walk, _: None for opcode in ("PROTO", "FRAME", "STOP")},
    "NONE": lambda walk, _: walk.stack.append(None),
    "NEWTRUE": lambda walk, _: walk.stack.append(True),
    "NEWFALSE": lambda walk, _: walk.stack.append(False),
    "EMPTY_TUPLE": lambda walk, _: walk.stack.append(()),
    "TUPLE1": lambda walk, _: walk.stack.append(tuple(walk.take(1))),
    "TUPLE2": lambda walk, _: walk.stack.append(tuple(walk.take(2))),
    "TUPLE3": lambda walk, _: walk.stack.append(tuple(walk.take(3))),
    "TUPLE": lambda walk, _: walk.push(tuple(walk.since_mark())),
    "EMPTY_LIST": lambda walk, _: walk.stack.append([]),
    "LIST": lambda walk, _: walk.push(walk.since_mark()),
    "APPEND": lambda walk, _: walk.append(walk.take(1)),
    "APPENDS": lambda walk, _: walk.append(walk.since_mark()),
    "EMPTY_DICT": lambda walk, _: walk.stack.append({}),
    "DICT": lambda walk, _: walk.push(_pairs(walk.since_mark())),
    "SETITEM": lambda walk, _: walk.set_items(walk.take(2)),
    "SETITEMS": lambda walk, _: walk.set_items(walk.since_mark()),
    "EMPTY_SET": lambda walk, _: walk.stack.append(set()),
    "ADDITEMS": lambda walk, _: walk.add(walk.since_mark()),
    "FROZENSET": lambda walk, _: walk.push(set(map(key, walk.since_mark()))),
    "MARK": Walk.mark,
    "POP": Walk.pop,
    "POP_MARK": lambda walk, _: walk.since_mark(),
    "DUP": lambda walk, _: walk.stack.append(walk.stack[-1]),
    "GLOBAL": lambda walk, names: walk.name(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda walk, _: walk.name(*walk.take(2)),
    "NEWOBJ_EX": Walk.call_with_names,
    "BUILD": Walk.build,
    "BINPERSID": Walk.refer,
}


def loads(data: bytes, makers: Makers, origin: str = "pickle", outside: Callable[[Any], Any] | None = None) -> Any:
    """The value in `data`, built by `makers` only; `origin` is what errors call it. Raises ValueError as `load` does.

    `outside` gives the data beside the pickle to which it refers; None refuses such references.
    """
    return Walk(io.BytesIO(data), makers, origin, Budget(len(data)), outside).run()


def load(path: str | Path, makers: Makers) -> Any:
    """The value pickled at `path`.

    Raises ValueError for a name that has no maker, for operations that only code needs, for what would cost more than a
    file of its size may, and for a damaged file.
    """
    file = regular_file(path, "pickle", MOST_BYTES)
    size = file.stat().st_size
    if not size:
        raise ValueError(f"{shown(path)} is broken or not a readable pickle (it is empty); {ADVICE}")
    with file.open("rb") as opened, Mapped(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return Walk(mapped, makers, str(path), Budget(size)).run()
