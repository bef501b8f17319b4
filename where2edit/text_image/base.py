"""The interface of a joint text-image encoder: prompts and images -> embeddings of one space.

Legend: B images, N prompts, D embedding width. Images are [B,3,H,W] in [-1,1], any size; an encoder resizes them itself.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class TextImageConfig:
    """The `text_image` section. A registered factory takes it and returns a frozen TextImage."""

    name: str = "facetext"
    model: str = "ViT-B-32-quickgelu"  # clip only: the open_clip architecture
    weights: str | None = None  # asset name or path; None: the encoder's own default
    seed: int = 0  # of random weights (toy)


class TextImage(nn.Module):
    """A frozen encoder; preprocessing lives inside as buffers."""

    name: str
    dim: int  # D
    logit_scale: float  # what cosines are multiplied by in the encoder's own training

    @abstractmethod
    def text(self, prompts: list[str]) -> Tensor:
        """Prompts -> [N,D], not normalised. Raises ValueError for an empty prompt."""

    @abstractmethod
    def image(self, images: Tensor) -> Tensor:
        """Images [B,3,H,W] in [-1,1] -> [B,D], not normalised, differentiable in the image."""

    def freeze(self) -> TextImage:
        return self.eval().requires_grad_(False)
