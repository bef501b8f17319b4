"""The door for JSON from outside: a regular file of a plausible size, with a plausible number of values in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from where2edit.files.regular import regular_file

MOST_BYTES = 1 << 24
MOST_LEVELS = 20  # of mappings and lists


def read_json(path: str | Path, what: str) -> Any:
    """The value in a JSON file; `what` is what the file was wanted for.

    Raises ValueError for what is no regular file, for another content, and for one that is nested too deep.
    """
    path = regular_file(path, what, MOST_BYTES)
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
        _check_levels(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a {what}: it is no JSON that can be read ({error})") from None
    except OSError as error:
        raise ValueError(f"no {what} at {path}: {error.strerror}") from None
    return value


def _check_levels(value: Any) -> None:
    """Raise ValueError for a value of more than MOST_LEVELS levels."""
    level, found = 0, [value]
    while found:
        if level > MOST_LEVELS:
            raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep")
        inside = (each.values() if isinstance(each, dict) else each for each in found if isinstance(each, dict | list))
        level, found = level + 1, [item for each in inside for item in each]
