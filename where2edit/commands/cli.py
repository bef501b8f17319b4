"""What every script shares: user errors become one sentence and exit code 2, and freed memory is kept."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from where2edit.core.memory import keep_freed_memory


def run_command(main: Callable[[str], int | None], help_text: str) -> None:
    """Call `main(help_text)` and exit with its code; ValueError and OSError become one sentence and exit code 2.

    `help_text` is the docstring of the script, which `--help` prints. Ctrl-C exits 130. Anything else is a defect of
    ours and keeps its traceback.
    """
    keep_freed_memory()
    warnings.formatwarning = _one_line
    warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong with a picture is said by our own sentences
    try:
        code = main(help_text)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept, and the same command can be run again", file=sys.stderr)
        code = 130
    sys.exit(code or 0)


def _one_line(message: Warning | str, *where: object, **more: object) -> str:
    """A warning for people: what it says, not the line of code that says it."""
    return f"warning: {message}\n"


def writable(folder: Path) -> Path:
    """Make a folder and see that files can be written there, before any work is done for it. Raises ValueError."""
    probe = folder / f".{os.getpid()}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"the folder {folder} is not writable ({error.strerror}); choose another with --out") from None
    return folder
