"""The interface of inversion encoders: a framed face goes in, the w codes of the profile's generator come out.

Legend: B faces of R x R pixels, L w codes, C channels and r resolution of the blend site.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from where2edit.backbones.preprocess import check_images
from where2edit.core.bounds import CountOrNone
from where2edit.core.config import build_options
from where2edit.generators.base import Generator
from where2edit.inversion import INVERSIONS
from where2edit.inversion.views import ViewConfig


@dataclass(frozen=True)
class InversionConfig:
    """The `inversion` section: how a photo's face becomes codes, and how long they are refined.

    `INVERSIONS.get(name)(config, options, generator)` returns a frozen InversionEncoder.
    """

    name: str = "mean_face"
    weights: str | None = None  # asset name or path of safetensors; None: the encoder's own default
    options: dict[str, Any] = field(default_factory=dict)  # checked against the encoder's own options
    w_steps: CountOrNone = 80  # of the refinement of w; 0: the encoder's answer stays
    canvas_steps: CountOrNone = 100  # of the refinement of the canvas at the blend site; 0: w alone
    w_view: ViewConfig = field(default_factory=ViewConfig)  # through what the refinement of w looks at the face
    canvas_view: ViewConfig = field(default_factory=ViewConfig)  # the same of most steps for the canvas


@dataclass(frozen=True)
class Inverted:
    """One face as a generator can draw it: its codes, and what its canvas at the blend site has beyond them."""

    w: Tensor  # [1,L,512]
    residual: Tensor | None = None  # [1,C,r,r]; None: nothing

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """w, and the residual where there is one."""
        return (self.w,) if self.residual is None else (self.w, self.residual)

    def to(self, like: Tensor) -> Inverted:
        """The same on the device and in the number type of `like`."""
        return Inverted(*(x.to(like) for x in self.tensors))


class InversionEncoder(nn.Module, ABC):
    """A frozen encoder. Subclasses define `codes`; whatever network they hold is no part of what is trained."""

    name: str

    @abstractmethod
    def codes(self, faces: Tensor) -> Tensor:
        """Checked faces [B,3,R,R] -> w [B,L,512]."""

    def forward(self, faces: Tensor) -> Tensor:
        """Faces [B,3,R,R] in [-1,1], framed like FFHQ, any R -> w [B,L,512]. Raises ValueError for anything else."""
        check_images(faces, self.name)
        return self.codes(faces)

    def freeze(self) -> InversionEncoder:
        """The encoder itself, in evaluation mode and without gradients of its parameters."""
        return self.eval().requires_grad_(False)


def build_inversion(config: InversionConfig, generator: Generator) -> InversionEncoder:
    """The frozen encoder of a section, on the device of the generator whose codes it answers.

    Raises ValueError for an unknown name or option, and for weights that are not of this generator.
    """
    options = build_options(INVERSIONS, config.name, config.options, "inversion.options")
    encoder = INVERSIONS.get(config.name)(config, options, generator)
    return encoder.to(generator.w_mean.device).freeze()
