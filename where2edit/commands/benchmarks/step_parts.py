"""A training step taken apart by the clock, from outside: the trainer knows nothing of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from where2edit.commands.benchmarks.timing import wait
from where2edit.core.records import Condition, Edit, Source
from where2edit.training.trainer import EditorTrainer

SOURCES, FORWARD, LOSSES, BACKWARD, OPTIMIZER = PARTS = ("sources", "forward", "losses", "backward", "optimizer")


class StepClock:
    """Adds up what parts take: `lap` gives the time since the last lap to a part."""

    def __init__(self, device: torch.device):
        self.device, self.milliseconds = device, dict.fromkeys(PARTS, 0.0)
        self._at = self._now()

    def lap(self, part: str) -> None:
        """A part ends here."""
        now = self._now()
        self.milliseconds[part] += 1e3 * (now - self._at)
        self._at = now

    def _now(self) -> float:
        wait(self.device)
        return time.perf_counter()


def timed_step(trainer: EditorTrainer, device: torch.device) -> dict[str, float]:
    """Make one step of a trainer -> milliseconds of each part; their sum is the whole step."""
    clock = StepClock(device)
    with ExitStack() as stack:
        for ended in (_sources, _forward, _losses, _optimizer):
            stack.enter_context(ended(trainer, clock))
        trainer.train_step()
    clock.lap(OPTIMIZER)
    return clock.milliseconds


@contextmanager
def _sources(trainer: EditorTrainer, clock: StepClock) -> Iterator[None]:
    """A lap after each pass's sources; what comes between two passes is the backward pass of the first."""
    batches = trainer.batches

    def timed() -> Iterator[tuple[Source, Condition]]:
        for batch in batches():
            clock.lap(SOURCES)
            yield batch
            clock.lap(BACKWARD)

    trainer.batches = timed  # type: ignore[method-assign]
    try:
        yield
    finally:
        del trainer.batches


@contextmanager
def _forward(trainer: EditorTrainer, clock: StepClock) -> Iterator[None]:
    """A lap after each forward pass of the method."""
    handle = trainer.method.register_forward_hook(lambda *call: clock.lap(FORWARD))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _losses(trainer: EditorTrainer, clock: StepClock) -> Iterator[None]:
    """A lap after each loss."""
    losses = trainer.losses

    def timed(loss: Callable[[Source, Edit, Condition], Tensor]) -> Callable[[Source, Edit, Condition], Tensor]:
        def call(source: Source, edit: Edit, condition: Condition) -> Tensor:
            value = loss(source, edit, condition)
            clock.lap(LOSSES)
            return value

        return call

    trainer.losses = {name: (entry, timed(loss)) for name, (entry, loss) in losses.items()}  # type: ignore[misc]
    try:
        yield
    finally:
        trainer.losses = losses


@contextmanager
def _optimizer(trainer: EditorTrainer, clock: StepClock) -> Iterator[None]:
    """A lap where the optimizer begins; what stands between the last loss and it is the backward pass."""
    handle = trainer.optimizer.register_step_pre_hook(lambda *call: clock.lap(BACKWARD))
    try:
        yield
    finally:
        handle.remove()
