"""e4e: the encoder of StyleGAN2-FFHQ as an inversion encoder (backbones/e4e.py). Weights: asset `e4e-ffhq`."""

from __future__ import annotations

from torch import Tensor

from where2edit.backbones.e4e import E4E
from where2edit.core.registry import NoOptions
from where2edit.generators.base import Generator
from where2edit.inversion import INVERSIONS
from where2edit.inversion.base import InversionConfig, InversionEncoder


class E4EInversion(InversionEncoder):
    """e4e's W+ codes, each site of the generator getting the code of its resolution and role."""

    name = "e4e"
    network: E4E
    _generator: Generator

    def __init__(self, network: E4E, generator: Generator):
        super().__init__()
        self.network = network
        object.__setattr__(self, "_generator", generator)  # shared: no submodule

    def codes(self, faces: Tensor) -> Tensor:
        return self._generator.from_w_plus(self.network(faces))


@INVERSIONS.register("e4e")
def e4e(config: InversionConfig, options: NoOptions, generator: Generator) -> E4EInversion:
    """The published encoder, or the file at `config.weights`. Raises ValueError where it has codes for another size."""
    network = E4E.load(config.weights)
    mean = network.latent_avg  # [L,W]
    try:
        generator.check_w(generator.from_w_plus(mean[None]))
    except ValueError:
        got, needed = list(mean.shape), [generator.num_w, generator.w_dim]
        advice = "give an e4e of its size, or another inversion.name"
        raise ValueError(f"e4e's codes are {got}, '{generator.name}' needs {needed}; {advice}") from None
    return E4EInversion(network, generator)
