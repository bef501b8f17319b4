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
from where2edit.files.regular import NAME, shown
from where2edit.files.tensor_checks import FLOATS, checked

PREFIX = "module."  # of every name where the network was wrapped for several GPUs
NESTED = ("state_dict", "model_state_dict", "model")  # names under which checkpoints hold a network
# What checkpoints hold beside a network, as patterns of names; none of it is read.
TRAINING_STATE = (
    "epoch*",
    "step*",
    "iter*",
    "global_step*",
    "opt*",
    "*optim*",
    "*scheduler*",
    "lr*",
    "args",
    "config*",
)
TRAINING_STATE += ("*loss*", "best_*", "scaler*", "name", "arch", "version", "seed*", "cfg*", "hyper_parameters")
KEPT = (torch.float16, torch.float32)  # number types that tensors keep
MOST_LAYERS = 256


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
            raise ValueError(
                f"{shown(origin)} holds '{shown(unknown[0], NAME)}'{some}, which {self.what} does not have"
            )
        for rule in self.take:
            self._check(rule, state[rule.source], origin)
        shaped = {r.target: state[r.source].reshape(r.shape if r.result is None else r.result) for r in self.take}
        return {name: value if value.dtype in KEPT else value.float() for name, value in shaped.items()}

    def _lacks(self, missing: list[Take], unknown: list[str], origin: str) -> str:
        """The sentence on what a file lacks, and what it holds in its place."""
        some = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        instead = f"; it holds '{shown(unknown[0], NAME)}', which no rule takes" if unknown else ""
        first = f"'{missing[0].source}' {list(missing[0].shape)}{some}"
        return f"{shown(origin)} lacks {first}, which {self.what} needs{instead}"

    def _check(self, rule: Take, value: Any, origin: str) -> None:
        """Raises ValueError unless `value` is a tensor of the rule's shape, of floats that are all finite."""
        if torch.is_tensor(value) and tuple(value.shape) != rule.shape:
            found, expected = list(value.shape)[:6], list(rule.shape)
            raise ValueError(f"{shown(origin)} holds '{rule.source}' {found}, but {self.what} has {expected}")
        if checked(value, rule.source, origin).dtype not in FLOATS:
            found = str(value.dtype).removeprefix("torch.")
            raise ValueError(f"{shown(origin)} holds '{rule.source}' as {found}; {self.what} needs floats there")


COUNTERS = Drop("*.num_batches_tracked", "counts training batches; set to 0, since some official files lack it")


def with_counters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with a counter, 0, beside every running mean: a batch norm has one, which inference ignores."""
    norms = (name.removesuffix("running_mean") for name in state if name.endswith(".running_mean"))
    return state | {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms}


def state_dict(tree: Any, origin: str) -> dict[str, Any]:
    """`tree`, which must be a mapping of names. Raises ValueError otherwise."""
    if not isinstance(tree, Mapping) or not all(isinstance(name, str) for name in tree):
        raise ValueError(f"{shown(origin)} holds a {type(tree).__name__}, expected a mapping of names to tensors")
    return dict(tree)


def network(tree: Any, origin: str, names: Iterable[str] = (), dropped: Iterable[str] = ()) -> dict[str, Any]:
    """The state dict of one network in whatever wrapping people have it in, its names without a wrapper's prefix.

    It is the first mapping among `names` and NESTED of a checkpoint, or else the checkpoint itself. Beside it stand
    the state of a training, and what matches `dropped`; ValueError for anything else.
    """
    tree = state_dict(tree, origin)
    nested = next((name for name in (*names, *NESTED) if isinstance(tree.get(name), Mapping)), None)
    if nested is not None:
        return unwrapped(section(tree, nested, origin, (*names, *NESTED, *dropped)), origin)
    beside = (*TRAINING_STATE, *dropped)
    bare = {n: v for n, v in tree.items() if torch.is_tensor(v) or not any(fnmatchcase(n, p) for p in beside)}
    return unwrapped(bare, origin)


def unwrapped(state: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The state without the prefix of the wrapper DataParallel, which either every name has or none."""
    wrapped = [str(name).startswith(PREFIX) for name in state]
    if any(wrapped) and not all(wrapped):
        bare = next(name for name in state if not str(name).startswith(PREFIX))
        raise ValueError(
            f"{shown(origin)} holds '{shown(bare, NAME)}' without the prefix '{PREFIX}' that other names have"
        )
    return {name.removeprefix(PREFIX): value for name, value in state_dict(state, origin).items()}


def section(tree: Any, name: str, origin: str, dropped: Iterable[str] = ()) -> dict[str, Any]:
    """The mapping `name` of a checkpoint; beside it stand the state of a training and `dropped`, name patterns."""
    tree = state_dict(tree, origin)
    if not isinstance(tree.get(name), Mapping):
        raise ValueError(f"{shown(origin)} has no mapping '{name}'; {nearest(name, tree)}")
    patterns = (name, *dropped, *TRAINING_STATE)
    for key in tree:
        if not any(fnmatchcase(key, pattern) for pattern in patterns):
            known = nearest(shown(key, NAME), patterns)
            raise ValueError(f"{shown(origin)} holds '{shown(key, NAME)}' beside '{name}', which is not known; {known}")
    return state_dict(tree[name], origin)


def highest(names: Iterable[str], prefix: str) -> int:
    """The highest index i among the names `<prefix><i>...`, or -1; a table's length follows from it.

    Indices above MOST_LAYERS do not count: such names are left over, and refused.
    """
    indices = (name.removeprefix(prefix).split(".")[0] for name in names if str(name).startswith(prefix))
    counted = (int(index) for index in indices if index.isdecimal() and len(index) < 6)
    return max((index for index in counted if index <= MOST_LAYERS), default=-1)


def width(state: Mapping[str, Any], name: str, default: int, axis: int = 0) -> int:
    """A free size of a table: one axis of the tensor `name`, or `default` where that tensor says nothing."""
    value = state.get(name)
    return value.shape[axis] if torch.is_tensor(value) and value.ndim > axis else default
