"""The interface of text-image encoders, with the checks of prompts and images that they share.

Legend: N prompts, B images of H x W pixels, D embedding width.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal
from unicodedata import category

import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.preprocess import check_images
from where2edit.core.distributed import rank
from where2edit.core.sentences import quoted


@dataclass(frozen=True)
class TextImageConfig:
    """The `text_image` section. `TEXT_IMAGE.get(name)(config, options)` returns a frozen TextImage."""

    name: str = "facetext"
    weights: str | None = None  # asset name or path; None: the encoder's own default
    embedding: Literal["standard", "raw"] = "standard"  # h of length sqrt(D), or as the encoder makes it (released)
    options: dict[str, Any] = field(default_factory=dict)  # checked against the encoder's own options


def visible(prompt: str) -> str:
    """A prompt without what nobody sees: control and format characters (zero-width ones), blanks at its ends."""
    return "".join(" " if c.isspace() else c for c in prompt if c.isspace() or category(c)[0] != "C").strip()


def check_text(prompt: str) -> None:
    """Raise ValueError for a prompt with bytes that are no letters, as a terminal of another encoding hands on."""
    if any(category(letter) == "Cs" for letter in prompt):
        raise ValueError(f"the prompt {quoted(prompt)} holds bytes that are no text; write it in UTF-8")


class TextImage(nn.Module, ABC):
    """A frozen joint encoder. Subclasses fill the attributes and the two abstract methods."""

    name: str
    dim: int  # D
    logit_scale: float  # multiplies the cosine in a contrastive loss
    unit_norm: bool  # True: embeddings have length one; False: as the network makes them
    max_tokens: int | None = None  # how much of a prompt is read, start and end tokens not counted; None: all of it
    framed_faces: bool = (
        False  # True: reads faces framed as FFHQ does, so that one is looked for in a reference picture
    )
    _warned_of_cutting = False

    @abstractmethod
    def encode_text(self, prompts: list[str]) -> Tensor:
        """Checked prompts -> [N,D] on the device of the encoder; a prompt over `max_tokens` is cut."""

    @abstractmethod
    def encode_image(self, images: Tensor) -> Tensor:
        """Checked images [B,3,H,W] in [-1,1], any size -> [B,D], differentiable in the images."""

    def tokens(self, prompt: str) -> int:
        """How many tokens the prompt has, start and end not counted; every encoder with `max_tokens` overrides it."""
        return 0

    def text(self, prompts: list[str], truncate: bool = False) -> Tensor:
        """Prompts -> embeddings [N,D]. Raises ValueError for an empty list, and for an empty or non-string prompt.

        A prompt over `max_tokens` raises ValueError too; with `truncate` (training) it is cut, and the first time a
        warning says so.
        """
        if isinstance(prompts, str) or not prompts:
            raise ValueError(f"text() reads a list of at least one prompt, got {prompts!r}")
        for prompt in prompts:
            if not isinstance(prompt, str) or not visible(prompt):
                raise ValueError(
                    f"a prompt must be words, got {prompt!r}; describe what should change, such as 'blond hair'"
                )
            check_text(prompt)
        long = [] if self.max_tokens is None else [p for p in prompts if self.tokens(p) > self.max_tokens]
        if long:
            self._refuse_or_warn(long[0], truncate)
        return self.encode_text([visible(prompt) for prompt in prompts])

    def _refuse_or_warn(self, prompt: str, truncate: bool) -> None:
        """Raise ValueError for a prompt that is too long, or with `truncate` warn once that such prompts are cut."""
        said = f"a prompt has {self.tokens(prompt)} tokens, {self.label} reads at most {self.max_tokens}"
        if not truncate:
            raise ValueError(f"{said}; shorten it: {prompt[:60]}...")
        if not self._warned_of_cutting and rank() == 0:
            warnings.warn(f"{said}; longer prompts are cut: {prompt[:60]}...", stacklevel=3)
        self._warned_of_cutting = True

    @property
    def label(self) -> str:
        """What messages call the encoder."""
        return self.name

    def image(self, images: Tensor) -> Tensor:
        """Images [B,3,H,W] in [-1,1], any size -> embeddings [B,D]. Raises ValueError for anything else."""
        check_images(images, self.name)
        return self.encode_image(images)

    def similarity(self, images: Tensor, prompts: list[str]) -> Tensor:
        """Cosine of every image [B,3,H,W] in [-1,1] with every prompt: [B,N]. Raises as `text` and `image` do."""
        return F.normalize(self.image(images), dim=1) @ F.normalize(self.text(prompts), dim=1).T

    def freeze(self) -> TextImage:
        """The encoder itself, in evaluation mode and without gradients of its parameters."""
        return self.eval().requires_grad_(False)
