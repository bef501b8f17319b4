"""The code behind the scripts, one module per command.

A script imports it before anything that takes long, so that Ctrl-C ends in one line from there on.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType

INTERRUPTED = 130  # exit code
SAID = "interrupted; what was finished is kept, and the same command can be run again"


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python does with an error that nobody caught; Ctrl-C, while a script imports, is one line."""
    if issubclass(kind, KeyboardInterrupt):
        print(SAID, file=sys.stderr, flush=True)
        os._exit(INTERRUPTED)
    sys.__excepthook__(kind, error, trace)


sys.excepthook = _uncaught
