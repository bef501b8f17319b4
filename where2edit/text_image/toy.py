"""toy: a text-image encoder with random weights, for tests and quick trials; it understands nothing.

Legend: N prompts, B images, D = 32.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.preprocess import resize
from where2edit.core.bounds import Seed
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.base import TextImage, TextImageConfig

SIZE = 32  # pixels that the image tower reads


@dataclass(frozen=True)
class ToyOptions:
    """The `text_image.options` of toy."""

    seed: Seed = 0  # of the random weights


class Toy(TextImage):
    """A small random convolutional net for images; each word is a random vector, a prompt the sum of its words."""

    name = "toy"
    dim = 32
    logit_scale = 10.0
    unit_norm = True

    def __init__(self, seed: int = 0):
        super().__init__()
        self.seed = seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.tower = nn.Sequential(
                nn.Conv2d(3, 16, 5, stride=4, padding=2),
                nn.LeakyReLU(0.2),
                nn.Conv2d(16, 32, 3, stride=2, padding=1),
                nn.LeakyReLU(0.2),
                nn.Flatten(),
                nn.Linear(32 * (SIZE // 8) ** 2, self.dim),
            )
        self.freeze()

    def encode_text(self, prompts: list[str]) -> Tensor:
        h = torch.stack([sum(self._word(word) for word in prompt.lower().split()) for prompt in prompts])
        return F.normalize(h, dim=1).to(self.tower[0].weight)

    def encode_image(self, images: Tensor) -> Tensor:
        return F.normalize(self.tower(resize(images, SIZE)), dim=1)

    def _word(self, word: str) -> Tensor:
        """The vector of a word, the same in every process (Python's own hash is not)."""
        digest = hashlib.sha256(f"{self.seed} {word}".encode()).digest()
        return torch.randn(self.dim, generator=torch.Generator().manual_seed(int.from_bytes(digest[:7], "big")))


@TEXT_IMAGE.register("toy", options=ToyOptions)
def toy(config: TextImageConfig, options: ToyOptions) -> Toy:
    """The encoder with the random weights of `options.seed`; nothing else of the config concerns it."""
    return Toy(options.seed)
