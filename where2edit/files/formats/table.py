"""Conversion tables: every tensor of a foreign file is taken under a new name, dropped by name, or refused.

A table is data. It names each tensor that the file must hold, with its shape there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

from where2edit.core.registry import nearest


@dataclass(frozen=True)
class Take:
    """One tensor: its name and shape in the file, its name here, and the shape that it gets (None: the same)."""

    source: str
    target: str
    shape: tuple[int, ...]
    result: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Drop:
    """Tensors that are left out: a name pattern (`*` stands for anything) and the reason."""

    pattern: str
    reason: str


@dataclass(frozen=True)
class ConversionTable:
    """The tensors that a file of one network must hold, and what becomes of them."""

    what: str  # the network, for messages
    take: tuple[Take, ...]
    drop: tuple[Drop, ...] = ()

    def convert(self, state: Mapping[str, Any], origin: str) -> dict[str, Tensor]:
        """Our state dict. Raises ValueError naming the first tensor that is missing, not known or of another shape."""
        sources = {rule.source for rule in self.take}
        unknown = [n for n in state if n not in sources and not any(fnmatchcase(n, d.pattern) for d in self.drop)]
        missing = [rule for rule in self.take if rule.source not in state]
        if missing:
            raise ValueError(self._lacks(missing, unknown, origin))
        if unknown:
            some = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
            raise ValueError(f"{origin} holds '{unknown[0]}'{some}, which {self.what} does not have")
        for rule in self.take:
            self._check(rule, state[rule.source], origin)
        return {r.target: state[r.source].reshape(r.shape if r.result is None else r.result) for r in self.take}

    def _lacks(self, missing: list[Take], unknown: list[str], origin: str) -> str:
        """The sentence on what a file lacks, and what it holds in its place."""
        some = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        instead = f"; it holds '{unknown[0]}', which no rule takes" if unknown else ""
        return f"{origin} lacks '{missing[0].source}' {list(missing[0].shape)}{some}, which {self.what} needs{instead}"

    def _check(self, rule: Take, value: Any, origin: str) -> None:
        """Raises ValueError unless `value` is a tensor of the rule's shape."""
        if not torch.is_tensor(value):
            found = type(value).__name__
            raise ValueError(f"{origin} holds '{rule.source}' as {found}; {self.what} needs a tensor there")
        if tuple(value.shape) != rule.shape:
            found, expected = list(value.shape), list(rule.shape)
            raise ValueError(f"{origin} holds '{rule.source}' {found}, but {self.what} has {expected}")


COUNTERS = Drop("*.num_batches_tracked", "counts training batches; set to 0, since some official files lack it")


def with_counters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with a counter, 0, beside every running mean: a batch norm has one, which inference ignores."""
    norms = (name.removesuffix("running_mean") for name in state if name.endswith(".running_mean"))
    return state | {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms}


def state_dict(tree: Any, origin: str) -> Mapping[str, Any]:
    """`tree`, which must be a mapping of names. Raises ValueError otherwise."""
    if not isinstance(tree, Mapping) or not all(isinstance(name, str) for name in tree):
        raise ValueError(f"{origin} holds a {type(tree).__name__}, expected a mapping of names to tensors")
    return tree


def section(tree: Any, name: str, origin: str, dropped: Iterable[str] = ()) -> Mapping[str, Any]:
    """The mapping `name` of a checkpoint; its other entries must be among `dropped`, name patterns."""
    tree = state_dict(tree, origin)
    if not isinstance(tree.get(name), Mapping):
        raise ValueError(f"{origin} has no mapping '{name}'; {nearest(name, map(str, tree))}")
    patterns = (name, *dropped)
    for key in tree:
        if not any(fnmatchcase(str(key), pattern) for pattern in patterns):
            known = nearest(str(key), patterns)
            raise ValueError(f"{origin} holds '{key}' beside '{name}', which is not known; {known}")
    return tree[name]


def highest(names: Iterable[str], prefix: str) -> int:
    """The highest index i among the names `<prefix><i>...`, or -1; a table's length follows from it."""
    indices = (name.removeprefix(prefix).split(".")[0] for name in names if str(name).startswith(prefix))
    return max((int(index) for index in indices if index.isdecimal()), default=-1)


def width(state: Mapping[str, Any], name: str, default: int, axis: int = 0) -> int:
    """A free size of a table: one axis of the tensor `name`, or `default` where that tensor says nothing."""
    value = state.get(name)
    return value.shape[axis] if torch.is_tensor(value) and value.ndim > axis else default
