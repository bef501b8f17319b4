"""Registries of named factories: a file in a registry's package that decorates its class is found by itself.

One file is therefore enough to add one thing (docs/architecture.md, Contracts).
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from where2edit.core.sentences import QUOTED


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error's sentence: the known name closest to `name`, then all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name[:QUOTED], known, n=1, cutoff=0.4)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}Known: {', '.join(known) or 'none'}"


@dataclass(frozen=True)
class NoOptions:
    """The options of a registered thing that has none."""


class Registry:
    """Maps names to factories and to the classes of their options; `kind` is what errors call an entry.

    The first use imports every module of `package`, each of which registers what it holds.
    """

    def __init__(self, kind: str, package: str):
        self.kind, self.package = kind, package
        self._factories: dict[str, Callable] = {}
        self._options: dict[str, type] = {}
        self._complete = False

    def register(self, name: str, options: type = NoOptions) -> Callable:
        """Decorator that registers a class or function under `name`, with the frozen dataclass of its own options.

        Raises ValueError when the name is taken.
        """

        def decorate(factory: Callable) -> Callable:
            if name in self._factories:
                raise ValueError(f"{self.kind} '{name}' is registered twice: {self._factories[name]} and {factory}")
            self._factories[name], self._options[name] = factory, options
            return factory

        return decorate

    def _import_all(self) -> None:
        """Import every module of the package once; each registers what it holds."""
        if not self._complete:
            package = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self.package}.{module.name}")
            self._complete = True

    def names(self) -> list[str]:
        """Every registered name, sorted."""
        self._import_all()
        return sorted(self._factories)

    def get(self, name: str) -> Any:
        """The factory of `name`, a class or a function. Raises ValueError with the nearest known name."""
        self._import_all()
        if name not in self._factories:
            raise ValueError(f"unknown {self.kind} '{name}'; {nearest(name, self._factories)}")
        return self._factories[name]

    def options_of(self, name: str) -> type:
        """The frozen dataclass of the options of `name`. Raises ValueError with the nearest known name."""
        self.get(name)
        return self._options[name]
