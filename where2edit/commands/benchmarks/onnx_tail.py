"""A generator's tail in ONNX Runtime, as a second opinion on how long its arithmetic has to take on a CPU."""

from __future__ import annotations

import importlib.util
import io
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from where2edit.core.records import Source
from where2edit.core.sentences import one_sentence
from where2edit.editing.blended_walk import unedited
from where2edit.generators.base import Canvas, Generator

NEEDED = ("onnx", "onnxruntime")  # the first writes the graph, the second runs it
OPSET = 17
SAME = 1e-3  # largest difference of a pixel in [-1,1] to torch's tail


class TailNetwork(nn.Module):
    """The tail as a network of tensors: features and the styles of the sites after `after`, in their order."""

    def __init__(self, generator: Generator, after: str):
        super().__init__()
        self.generator, self.after = generator, after
        self.names = [site.name for site in generator.after(after)]

    def forward(self, features: Tensor, *styles: Tensor) -> Tensor:
        """features [B,C,r,r] and styles [B,width] -> image [B,3,R,R]."""
        return self.generator.tail(Canvas(features), dict(zip(self.names, styles, strict=True)), self.after)


@torch.no_grad()
def exported_tail(generator: Generator, source: Source, blend_site: str) -> Callable[[], object]:
    """A call that computes the source's tail with ONNX Runtime, on as many threads as torch has.

    Raises ValueError where a package is missing, for a generator with an RGB skip or in bfloat16, and where the picture
    differs.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"{missing[0]} is not installed, requirements-test.txt pins it")
    if generator.bfloat16_after is not None:
        raise ValueError("ONNX Runtime has no convolution of bfloat16 on a CPU")
    blended = unedited(generator, source, blend_site)
    if blended.canvas.rgb is not None:
        raise ValueError(f"the tail of {generator.name} reads an RGB skip, and only tails without one are exported")
    network = TailNetwork(generator, blended.after)
    inputs = [blended.canvas.features.contiguous(), *(source.styles[name] for name in network.names)]
    call = _runtime(_graph(network, inputs), inputs)
    difference = np.abs(call() - network(*inputs).numpy()).max()
    if not difference <= SAME:
        raise ValueError(f"its picture differs by {difference:.1e}, more than {SAME}")
    return call


def _graph(network: TailNetwork, inputs: list[Tensor]) -> bytes:
    """The network as an ONNX file. Raises ValueError where torch cannot write it."""
    # With a gradient asked for, the generator takes its paths without results written in place, which ONNX lacks.
    features = inputs[0].clone().requires_grad_()
    file = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(network, (features, *inputs[1:]), file, dynamo=False, opset_version=OPSET)
    except (RuntimeError, ImportError) as error:
        raise ValueError(one_sentence(f"torch cannot export the tail ({error})")) from None
    return file.getvalue()


def _runtime(graph: bytes, inputs: list[Tensor]) -> Callable[[], np.ndarray]:
    """A call that runs the graph on the inputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    feed = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
    return lambda: session.run(None, feed)[0]
