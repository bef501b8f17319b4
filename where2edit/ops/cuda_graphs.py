"""CUDA graphs: a walk of fixed shapes is recorded once, and then all its kernels are launched by one call.

A single edit on a GPU is bound by launches, not by arithmetic. What is recorded reads and writes fixed addresses: the
inputs of a call are copied to where it reads them, and its outputs are copied out, so that no later call overwrites
them. Weights are read where they lie; those that were moved, or changed in place, make all graphs be recorded anew,
since what was computed from them may be kept too (`modulated_conv._energy`). The kernels are those of a direct call,
and so are the bits. Calls must come from one thread and one stream.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from where2edit.ops.locality import switches

MOST_KEPT = 8  # graphs: trunk and tail of four sizes of a batch
WARM_UPS = 3  # calls before one is recorded: kernels are built, algorithms chosen, trials of locality made
Outputs = tuple[Tensor, ...]
Walk = Callable[..., Outputs]


class Backend:
    """Records calls and replays them: torch's own graphs, on devices of one type; they share the memory on the way."""

    kind = "cuda"

    def __init__(self):
        self._places: dict[torch.device, tuple[Any, Any]] = {}  # of each device the stream and the pool of its graphs

    def warm_up(self, call: Callable[[], Outputs], device: torch.device) -> None:
        """Make the call as often as is needed before it can be recorded, on the stream on which it will be."""
        if device not in self._places:
            self._places[device] = torch.cuda.Stream(device), torch.cuda.graph_pool_handle()
        stream, current = self._places[device][0], torch.cuda.current_stream(device)
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                call()
        current.wait_stream(stream)

    def capture(self, call: Callable[[], Outputs], device: torch.device) -> tuple[Any, Outputs]:
        """The graph of a call that is warm, and the tensors into which each replay writes its outputs.

        Raises RuntimeError for a call that waits for the device.
        """
        graph, (stream, pool) = torch.cuda.CUDAGraph(), self._places[device]
        with torch.cuda.graph(graph, pool=pool, stream=stream):
            outputs = call()
        return graph, outputs

    def replay(self, graph: Any) -> None:
        """Do again what was recorded, on the current stream."""
        graph.replay()


class Recorded(NamedTuple):
    """A graph, and the tensors that it writes and reads."""

    graph: Any
    outputs: Outputs
    inputs: tuple[Tensor, ...]


class Graphs:
    """Graphs of walks with one set of weights, at most `most`; the one goes that was not used for longest."""

    def __init__(self, most: int = MOST_KEPT, backend: Backend | None = None):
        self.most, self.backend = most, backend or Backend()
        self._kept: dict[tuple, Recorded] = {}
        self._weights: tuple[Tensor, ...] = ()  # kept, so that nothing else can come to lie at their addresses
        self._state: tuple = ()

    def __deepcopy__(self, memo: dict) -> Graphs:
        return Graphs(self.most)  # copied weights lie elsewhere

    def replayed(
        self, name: tuple[Hashable, ...], walk: Walk, inputs: Sequence[Tensor], weights: Iterable[Tensor]
    ) -> Outputs:
        """`walk(*inputs)`, bit for bit, by a graph that the first call records.

        name: all that decides what `walk` does besides its inputs and the `weights` that it reads. It is called
        directly with gradients, under autocast, in inference mode and on other devices.
        """
        kind = self.backend.kind
        direct = torch.is_grad_enabled() or torch.is_inference_mode_enabled() or torch.is_autocast_enabled(kind)
        if direct or any(x.device.type != kind for x in inputs):
            return walk(*inputs)
        self._look_at(tuple(weights))
        key = (*name, switches(), *((x.shape, x.stride(), x.dtype, x.device) for x in inputs))
        recorded = self._kept.pop(key, None) or self._recorded(walk, inputs)
        self._kept[key] = recorded
        _copy(inputs, recorded.inputs)
        self.backend.replay(recorded.graph)
        return tuple(x.clone() for x in recorded.outputs)

    def _look_at(self, weights: tuple[Tensor, ...]) -> None:
        """Forget all graphs where the weights are no longer those with which they were recorded."""
        state = tuple((x.data_ptr(), 0 if x.is_inference() else x._version, x.dtype, x.stride()) for x in weights)
        if state != self._state:
            self._kept.clear()
            self._weights, self._state = tuple(x.detach() for x in weights), state

    def _recorded(self, walk: Walk, inputs: Sequence[Tensor]) -> Recorded:
        """A new graph, in place of the oldest where there are too many."""
        while len(self._kept) >= self.most:
            del self._kept[next(iter(self._kept))]
        places, device = tuple(map(_place_like, inputs)), inputs[0].device
        _copy(inputs, places)
        self.backend.warm_up(lambda: walk(*places), device)
        return Recorded(*self.backend.capture(lambda: walk(*places), device), places)


def _copy(values: Sequence[Tensor], places: Sequence[Tensor]) -> None:
    """Write values into places of the same shapes and strides."""
    for value, place in zip(values, places, strict=True):
        _once(place).copy_(_once(value))


def _place_like(x: Tensor) -> Tensor:
    """A tensor of its own with the strides of x, on which the choice of algorithms may depend."""
    own = _once(x)
    return torch.empty_strided(own.shape, own.stride(), dtype=x.dtype, device=x.device).expand(x.shape)


def _once(x: Tensor) -> Tensor:
    """The part of x that lies in memory: an expanded dimension is taken once."""
    for dim, (size, step) in enumerate(zip(x.shape, x.stride(), strict=True)):
        x = x.narrow(dim, 0, 1) if step == 0 and size > 1 else x
    return x
