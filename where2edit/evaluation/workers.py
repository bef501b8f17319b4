"""Shares work between processes of one thread each, forked from one that has built everything.

They share the memory of the weights and exchange nothing but the files that they write. Each has one thread, because a
figure must not depend on how many threads added it up, and because two processes of one thread finish sooner than one
process of two.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable

from where2edit.core import distributed
from where2edit.core.memory import machine_memory
from where2edit.core.sentences import one_sentence, print_line

MEMORY = 5 * 2**30  # bytes that one process may need for a chunk of two 1024 px sources
KILL_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def process_count(asked: int | None, device: str) -> int:
    """Processes of a run: what was asked for, else one for each core that has memory enough.

    One where torchrun started several, on a GPU, and on systems without fork.
    """
    if asked is not None and asked < 1:
        raise ValueError(f"--processes must be at least 1, got {asked}")
    if distributed.active() or device != "cpu" or not sys.platform.startswith("linux"):
        return 1
    return asked or max(1, min(cores(), machine_memory() // MEMORY))


def share(work: Callable[[int, int], None], processes: int) -> None:
    """Run work(i, processes) for every i below `processes`, number 0 in this process.

    Raises OSError when another one ends early; what it wrote by then stays.
    """
    context = multiprocessing.get_context("fork") if processes > 1 else multiprocessing
    children = [context.Process(target=_child, args=(work, i, processes), daemon=True) for i in range(1, processes)]
    for child in children:
        child.start()
    work(0, processes)
    for child in children:
        child.join()
    if failed := [child.exitcode for child in children if child.exitcode]:
        raise OSError(
            f"a process of the evaluation ended with code {failed[0]} (its message stands above; a negative code is a "
            "signal, such as -9 where memory ran out: try --processes 1); the same command goes on"
        )


def _child(work: Callable[[int, int], None], number: int, processes: int) -> None:
    """One process beside the first: it ends with its parent, and its exit code says how the work ended."""
    ctypes.CDLL(None).prctl(KILL_WITH_PARENT, signal.SIGKILL)
    try:
        work(number, processes)
    except KeyboardInterrupt:
        os._exit(130)  # the parent says so
    except (ValueError, OSError) as error:  # no defect of ours: a full disk, for example
        print_line(f"error: {one_sentence(str(error))}", sys.stderr)
        os._exit(2)
    except BaseException:
        print_line(traceback.format_exc(), sys.stderr)
        os._exit(1)
