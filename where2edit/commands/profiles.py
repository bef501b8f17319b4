"""The profile that a command line asks for."""

from __future__ import annotations

from argparse import Namespace

from where2edit.core.devices import resolve_device
from where2edit.editor.profile import Profile, load_profile


def profile_of(options: Namespace) -> Profile:
    """The profile that `--config`, the changes of it and `--dtype` ask for, with what "auto" is on `--device`."""
    dtype = [] if options.dtype is None else [f"generator.dtype={options.dtype}"]
    options.overrides = [*options.overrides, *dtype]
    return load_profile(options.config, options.overrides).on(resolve_device(options.device))
