"""Prompts -> Conditions: embeddings at the length that a mapper is trained with, each prompt embedded once.

Legend: n sources, m prompts of each, N prompts, D embedding width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.records import Condition
from where2edit.text_image.base import TextImage, visible


class Conditions:
    """Builds Conditions from prompts and keeps the embedding of every prompt that it has seen.

    raw: h stays as the encoder makes it (the released code). Otherwise h is scaled to length sqrt(D), at which its
    numbers have a mean square of 1. truncate: a prompt that is too long for the encoder is cut (training) instead of
    refused (editing).
    """

    def __init__(self, encoder: TextImage, raw: bool = False, truncate: bool = False):
        self.encoder, self.raw, self.truncate = encoder, raw, truncate
        self._known: dict[str, Tensor] = {}

    @torch.no_grad()
    def embed(self, prompts: list[str]) -> Tensor:
        """Prompts -> h [N,D]. Raises ValueError for a prompt that is empty or too long."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._known]
        if any(not visible(prompt) for prompt in new):
            raise ValueError("an empty prompt says nothing; write what should change, for example 'blond hair'")
        if new:
            self._known |= zip(new, self.scaled(self.encoder.text(new, self.truncate)), strict=True)
        return torch.stack([self._known[prompt] for prompt in prompts])

    def scaled(self, h: Tensor) -> Tensor:
        """Embeddings [N,D] of texts or images, as the encoder makes them -> the same at the mapper's length."""
        h = h.to(torch.get_default_dtype())  # an encoder may run in half precision
        return h if self.raw else F.normalize(h, dim=1) * math.sqrt(h.shape[1])

    def of(
        self, prompts: list[str], strength: float | Tensor, where: list[str] | None = None, per_source: int = 1
    ) -> Condition:
        """The condition of n*m prompts, the m = per_source prompts of one source after the other.

        strength: alpha of Eq. 1, a number or [n*m,1]. where: as many prompts that the attention reads in their place
        (two-prompt editing).
        Raises ValueError as `embed` does.
        """
        h = self.embed(prompts)
        return Condition(h, h if where is None else self.embed(where), strength, tuple(prompts), per_source)
