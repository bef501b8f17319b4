"""What every script shares: user errors become one short sentence and exit code 2, and freed memory is kept."""

from __future__ import annotations

import io
import os
import sys
import threading
import warnings
from collections.abc import Callable

from where2edit.commands import INTERRUPTED, SAID
from where2edit.core.memory import keep_freed_memory
from where2edit.core.sentences import one_sentence, print_line
from where2edit.files.atomic import sweep
from where2edit.files.cache import cache_folder


def run_command(main: Callable[[str], int | None], help_text: str) -> None:
    """Call `main(help_text)` and exit with its code; ValueError and OSError become one sentence and exit code 2.

    `help_text` is the docstring of the script, which `--help` prints. Ctrl-C exits 130. Anything else is a defect of
    ours and keeps its traceback. What the terminal cannot show is printed as an escape and ends nothing. What killed
    commands left half-written in the cache is cleared away first.
    """
    keep_freed_memory()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    warnings.formatwarning = _one_line
    threading.excepthook = _of_a_thread
    warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong with a picture is said by our own sentences
    try:
        sweep(cache_folder(), below=True)
        code = main(help_text)
    except (ValueError, OSError) as error:
        print_line(f"error: {one_sentence(str(error))}", sys.stderr)  # torchrun's processes may all fail at once
        code = 2
    except KeyboardInterrupt:
        print(SAID, file=sys.stderr)
        code = INTERRUPTED
    sys.exit(_flushed(code or 0))


def _flushed(code: int) -> int:
    """The exit code once everything that was printed is out; 2 where the output takes nothing (any more)."""
    try:
        if sys.stdout is not None:  # it was open when Python began
            sys.stdout.flush()
    except OSError as error:
        # Python would try again at its very end, and fail with a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"error: the output cannot be written ({error.strerror})", file=sys.stderr)
        return code or 2
    return code


def _of_a_thread(ended: threading.ExceptHookArgs) -> None:
    """What ends a thread, such as TensorBoard's where the disk is full, is one line; a defect keeps its traceback."""
    if isinstance(ended.exc_value, OSError):
        print(f"warning: {one_sentence(str(ended.exc_value))}", file=sys.stderr)
    else:
        threading.__excepthook__(ended)


def _one_line(message: Warning | str, *where: object, **more: object) -> str:
    """A warning for people: what it says, not the line of code that says it."""
    return f"warning: {one_sentence(str(message))}\n"
