"""mean_face: the mean face of the generator, whatever the picture shows; an inversion that needs no weights."""

from __future__ import annotations

from torch import Tensor

from where2edit.core.registry import NoOptions
from where2edit.generators.base import Generator
from where2edit.inversion import INVERSIONS
from where2edit.inversion.base import InversionConfig, InversionEncoder


class MeanFace(InversionEncoder):
    """The start of a refinement where no encoder was trained, and the no-op row of a table of encoders."""

    name = "mean_face"
    w_mean: Tensor

    def __init__(self, w_mean: Tensor, codes: int):
        super().__init__()
        self.register_buffer("w_mean", w_mean.clone())
        self.num_w = codes

    def codes(self, faces: Tensor) -> Tensor:
        return self.w_mean.expand(len(faces), self.num_w, -1)


@INVERSIONS.register("mean_face")
def mean_face(config: InversionConfig, options: NoOptions, generator: Generator) -> MeanFace:
    """The mean face of the generator; `config.weights` has no meaning and must not be given."""
    if config.weights:
        raise ValueError(f"inversion.weights is {config.weights}, but mean_face has none; leave it out")
    return MeanFace(generator.w_mean, generator.num_w)
