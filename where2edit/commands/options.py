"""Options that several scripts share: each is added here, so that it has one name, one default and one help text.

`to` is an argparse parser or one of its groups.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

Parser: TypeAlias = "argparse.ArgumentParser | argparse._ArgumentGroup"

DEFAULT_CONFIG = "configs/mobile.yaml"


def new_parser(help_text: str) -> argparse.ArgumentParser:
    """A parser whose `--help` prints the docstring of the script as it is written."""
    return argparse.ArgumentParser(description=help_text, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_config(to: Parser) -> None:
    """`--config`: the profile, a YAML file."""
    to.add_argument("--config", default=DEFAULT_CONFIG, help="profile, a YAML file (default: %(default)s)")


def add_overrides(to: Parser, example: str = "blending.threshold=0.7") -> None:
    """The positional arguments `section.key=value`, which change the config."""
    to.add_argument("overrides", nargs="*", help=f"section.key=value changes of the config, for example {example}")


def add_device(to: Parser) -> None:
    """`--device`, for core.devices.resolve_device."""
    words = "auto (the GPU where there is one, else the CPU), cpu, cuda or cuda:N (default: %(default)s)"
    to.add_argument("--device", default="auto", help=words)


def add_weights(to: Parser) -> None:
    """`--weights`: the trained editor, for editor.weights.find_weights."""
    to.add_argument("--weights", help="trained editor: asset name or path of a safetensors (default: the profile's)")


def add_force(to: Parser) -> None:
    """`--force`: edit by prompts that are not understood."""
    to.add_argument("--force", action="store_true", help="edit also where the words of a prompt are not understood")


def add_seeds(to: Parser, default: str | None, what: str) -> None:
    """`--seeds`, for commands.seeds.parse_seeds; `what` says what one seed becomes."""
    shown = "" if default is None else " (default: %(default)s)"
    to.add_argument("--seeds", default=default, help=f"{what}, for example 0-7 or 3,5,9{shown}")


def add_out(to: Parser, default: str, what: str) -> None:
    """`--out`: where the results are written; `what` says which kind of file or folder."""
    to.add_argument("--out", type=Path, default=Path(default), help=f"{what} (default: %(default)s)")
