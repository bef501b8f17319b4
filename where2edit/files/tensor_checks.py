"""What every tensor from a file must be before anything is made of it: plain real numbers that are finite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from where2edit.files.regular import NAME, shown

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WHOLE = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def checked(value: Any, name: str, origin: str | Path, finite: bool = True) -> Tensor:
    """`value`, once it is known to be a tensor of ordinary numbers, none of them NaN or infinite.

    `finite=False` allows such numbers. Raises ValueError for anything else, in which `origin` is the file.
    """
    if not isinstance(value, Tensor):
        raise ValueError(
            f"{shown(origin)} holds '{shown(name, NAME)}' as {type(value).__name__}, expected a tensor there"
        )
    if value.dtype not in FLOATS + WHOLE:
        kinds = "floats of 16, 32 or 64 bits, integers and booleans are read"
        raise ValueError(f"{shown(origin)} holds '{shown(name, NAME)}' as {_words(value.dtype)}; {kinds}")
    if finite and value.dtype in FLOATS and not _finite(_compact(value)):
        where = f"in '{shown(name, NAME)}' {list(value.shape)[:6]}"
        raise ValueError(f"{shown(origin)} holds values that are not finite {where}; get or make the file again")
    return value


def _finite(x: Tensor) -> bool:
    """Whether no number is NaN or infinite.

    A sum, which is quick, is finite only where all its terms are; where it is not, it may have overflowed.
    """
    total = x.sum(dtype=torch.float64 if x.dtype == torch.float64 else torch.float32)
    return bool(total.isfinite()) or bool(x.isfinite().all())


def fitted(
    found: Mapping[str, Any], expected: Mapping[str, Tensor], origin: str | Path, what: str, advice: str = ""
) -> dict[str, Tensor]:
    """The tensors of a file under the names of `expected`, floats cast to the number type there.

    Raises ValueError naming the first tensor that is missing, not known, of another shape, or of other numbers (floats,
    integers, booleans) than in `expected`, and for what `checked` refuses. `what` is the network that they are for;
    `advice` ends the sentence.
    """
    end = f"; {advice}" if advice else ""
    missing = sorted(expected.keys() - found.keys())
    unknown = sorted(map(str, found.keys() - expected.keys()))
    if missing or unknown:
        wrong = {"lacks": missing, "holds": unknown}
        words = " and ".join(f"{verb} {_some(names)}" for verb, names in wrong.items() if names)
        raise ValueError(f"{shown(origin)} does not fit {what}: it {words}{end}")
    for name, own in expected.items():
        value = found[name]
        if isinstance(value, Tensor) and value.shape != own.shape:
            got, shape = list(value.shape)[:6], list(own.shape)
            raise ValueError(
                f"{shown(origin)} does not fit {what}: it holds '{shown(name, NAME)}' {got}, expected {shape}{end}"
            )
    return {name: _cast(found[name], own.dtype, name, origin, end) for name, own in expected.items()}


def _cast(value: Any, dtype: torch.dtype, name: str, origin: str | Path, end: str) -> Tensor:
    """The checked tensor, floats with other bits where `dtype` asks for them; ValueError where the numbers differ."""
    value = checked(value, name, origin)
    if value.dtype != dtype and not (value.dtype in FLOATS and dtype in FLOATS):
        kinds = f"as {_words(value.dtype)}, expected {_words(dtype)}"
        raise ValueError(f"{shown(origin)} holds '{shown(name, NAME)}' {kinds} there{end}")
    return value if value.dtype == dtype else checked(value.to(dtype), name, origin)


def _compact(value: Tensor) -> Tensor:
    """The tensor without its repeated parts: one number that is shown at a million places is looked at once."""
    for axis, (size, stride) in enumerate(zip(value.shape, value.stride(), strict=True)):
        value = value.narrow(axis, 0, 1) if stride == 0 and size > 1 else value
    return value


def _words(dtype: torch.dtype) -> str:
    """The name of a number type for a sentence."""
    return str(dtype).removeprefix("torch.")


def _some(names: list[str]) -> str:
    """The first of some names, and how many more there are."""
    return f"'{shown(names[0], NAME)}'" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
