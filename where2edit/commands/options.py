"""Options that several scripts share: each is added here, so that it has one name, one default and one help text.

`to` is an argparse parser or one of its groups. What an option says is checked while the command line is read, before
anything is loaded: numbers by the bounds that stand in the annotations of configs too.
"""

from __future__ import annotations

import argparse
import re
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from where2edit.core.devices import Dtype, resolve_device
from where2edit.core.sentences import quoted

Parser: TypeAlias = "argparse.ArgumentParser | argparse._ArgumentGroup"

DEFAULT_CONFIG = "configs/mobile.yaml"


class SentenceParser(argparse.ArgumentParser):
    """A parser that raises ValueError with one sentence for a wrong command line, as everything else does."""

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument (\S+): (?=is )", r"\1 ", message).removeprefix("argument ")
        raise ValueError(f"{message}; --help lists the options" if message.startswith("unrec") else message)


def new_parser(help_text: str) -> argparse.ArgumentParser:
    """A parser whose `--help` prints the docstring of the script as it is written."""
    return SentenceParser(description=help_text, formatter_class=argparse.RawDescriptionHelpFormatter)


def number(annotation: Any, also: str = "") -> Callable[[str], Any]:
    """The `type` of an option that reads a number within the bounds of an annotation, such as core.bounds.Count.

    `also` ends its errors: what the option takes besides numbers.
    """
    kind, bounds = typing.get_args(annotation)

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"is {quoted(text)}; give {wanted}, {bounds}{also}") from None
        if not bounds.holds(value):
            raise argparse.ArgumentTypeError(bounds.says(value) + also)
        return value

    return read


def add_number(to: Parser, option: str, annotation: Any, default: float | None, words: str) -> None:
    """An option that reads a number within the bounds of an annotation; `words` explain it, without its default."""
    shown = "" if default is None else " (default: %(default)s)"
    to.add_argument(option, type=number(annotation), default=default, help=f"{words}{shown}")


def checked(check: Callable[[str], Any]) -> Callable[[str], str]:
    """The `type` of an option whose text `check` refuses with a ValueError; the text itself is what is kept."""

    def read(text: str) -> str:
        try:
            check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return text

    return read


def filled(text: str) -> str:
    """The `type` of an option that an empty text, as of a shell's variable that is not set, would say nothing with."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; give a value, or leave the option out")
    return text


def named_path(text: str) -> Path:
    """The `type` of an option that names a file or a folder; an empty text would be the working folder."""
    return Path(filled(text))


def add_config(to: Parser) -> None:
    """`--config`: the profile, a YAML file."""
    to.add_argument("--config", type=filled, default=DEFAULT_CONFIG, help="profile, a YAML file (default: %(default)s)")


def add_overrides(to: Parser, example: str = "blending.threshold=0.7") -> None:
    """The positional arguments `section.key=value`, which change the config."""
    to.add_argument("overrides", nargs="*", help=f"section.key=value changes of the config, for example {example}")


def add_device(to: Parser) -> None:
    """`--device`, for core.devices.resolve_device."""
    words = "auto (the GPU where there is one, else the CPU), cpu, cuda or cuda:N (default: %(default)s)"
    to.add_argument("--device", type=checked(resolve_device), default="auto", help=words)


def add_dtype(to: Parser) -> None:
    """`--dtype`: generator.dtype of the config, for `profiles.profile_of`."""
    words = (
        "of the large canvases: float32, bfloat16 (less exact, up to twice as fast where the processor has AMX, or on"
    )
    words += " a GPU), or auto: bfloat16 where it is fast (default: the profile's, float32)"
    to.add_argument("--dtype", choices=typing.get_args(Dtype), help=words)


def add_weights(to: Parser) -> None:
    """`--weights`: the trained editor, for editor.weights.find_weights."""
    to.add_argument(
        "--weights", type=filled, help="trained editor: asset name or path of a safetensors (default: the profile's)"
    )


def add_force(to: Parser) -> None:
    """`--force`: edit by prompts that are not understood."""
    to.add_argument("--force", action="store_true", help="edit also where the words of a prompt are not understood")


def add_seeds(to: Parser, default: str | None, what: str) -> None:
    """`--seeds`, for commands.seeds.parse_seeds; `what` says what one seed becomes."""
    shown = "" if default is None else " (default: %(default)s)"
    to.add_argument("--seeds", default=default, help=f"{what}, for example 0-7 or 3,5,9{shown}")


def add_out(to: Parser, default: str | None, what: str) -> None:
    """`--out`: where the results are written; `what` says which kind of file or folder. None: it must be given."""
    shown = "" if default is None else " (default: %(default)s)"
    folder = None if default is None else Path(default)
    to.add_argument("--out", type=named_path, default=folder, required=default is None, help=f"{what}{shown}")


def add_overwrite(to: Parser) -> None:
    """`--overwrite`, for commands.outputs: without it no other result is replaced."""
    to.add_argument("--overwrite", action="store_true", help="replace other results that are there already")
