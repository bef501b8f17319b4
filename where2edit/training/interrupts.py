"""Ctrl-C between two steps of a training and not inside one, so that the state that is saved is a whole one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def held_back(active: bool = True) -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C back inside the block; yields a function that says whether it was pressed. The second acts at once.

    Nothing is held back without `active`, and in another thread than the main one.
    """
    pressed = False

    def press(number: int, frame: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    if not active or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
