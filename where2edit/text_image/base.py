"""The interface that every text-image encoder keeps.

Legend: N prompts, B images, D embedding width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.preprocess import check_images


@dataclass(frozen=True)
class TextImageConfig:
    """The `text_image` section. A registered factory takes it and the encoder's options, and returns it frozen."""

    name: str = "facetext"
    weights: str | None = None  # asset name or path; None: the encoder's own default
    embedding: Literal["standard", "raw"] = "standard"  # h of length sqrt(D), or as the encoder makes it (released)
    options: dict[str, Any] = field(default_factory=dict)  # checked against the encoder's own options


class TextImage(nn.Module, ABC):
    """A frozen joint encoder. Subclasses fill the attributes and the two abstract methods."""

    name: str
    dim: int  # D
    logit_scale: float  # multiplies the cosine in a contrastive loss
    unit_norm: bool  # True: embeddings have length one; False: as the network makes them

    @abstractmethod
    def encode_text(self, prompts: list[str]) -> Tensor:
        """Checked prompts -> [N,D] on the device of the encoder."""

    @abstractmethod
    def encode_image(self, images: Tensor) -> Tensor:
        """Checked images [B,3,H,W] in [-1,1], any size -> [B,D], differentiable in the images."""

    def text(self, prompts: list[str]) -> Tensor:
        """Prompts -> embeddings [N,D]. Raises ValueError for an empty list, and for an empty or non-string prompt."""
        if isinstance(prompts, str) or not prompts:
            raise ValueError(f"text() reads a list of at least one prompt, got {prompts!r}")
        for prompt in prompts:
            if not isinstance(prompt, str) or not prompt.strip():
                raise ValueError(
                    f"a prompt must be words, got {prompt!r}; describe what should change, such as 'blond hair'"
                )
        return self.encode_text(list(prompts))

    def image(self, images: Tensor) -> Tensor:
        """Images [B,3,H,W] in [-1,1], any size -> embeddings [B,D]. Raises ValueError for anything else."""
        check_images(images, self.name)
        return self.encode_image(images)

    def similarity(self, images: Tensor, prompts: list[str]) -> Tensor:
        """Cosine of every image with every prompt: [B,N]."""
        return F.normalize(self.image(images), dim=1) @ F.normalize(self.text(prompts), dim=1).T

    def freeze(self) -> TextImage:
        """The encoder itself, in evaluation mode and without gradients of its parameters."""
        return self.eval().requires_grad_(False)
