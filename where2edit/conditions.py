"""Prompts -> Conditions: embeddings scaled as the mapper wants them, remembered, and m different ones per image.

Legend: n sources, m prompts of each, D embedding width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.data.prompts import sample_prompt
from where2edit.records import Condition
from where2edit.text_image.base import TextImage

DISTINCT = 0.7  # prompts of one image must lie further apart than this cosine, so that they name different attributes
ATTEMPTS = 50  # draws before a prompt is taken although it is close to another


class Conditions:
    """Embeds prompts once and builds Conditions.

    raw: h as the encoder makes it (the released code) instead of length sqrt(D), at which its numbers are about N(0,1).
    distinct: cosine that the prompts of one image stay below; 1 allows any.
    """

    def __init__(self, encoder: TextImage, raw: bool = False, distinct: float = DISTINCT):
        self.encoder, self.raw, self.distinct = encoder, raw, distinct
        self._known: dict[str, Tensor] = {}

    @torch.no_grad()
    def embed(self, prompts: list[str]) -> Tensor:
        """Prompts -> h [N,D]. Raises ValueError for an empty prompt."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._known]
        if any(not prompt.strip() for prompt in new):
            raise ValueError("an empty prompt says nothing; write what should change, for example 'blond hair'")
        if new:
            self._known |= zip(new, self.scaled(self.encoder.text(new)), strict=True)
        return torch.stack([self._known[prompt] for prompt in prompts])

    def scaled(self, h: Tensor) -> Tensor:
        """Embeddings of text or images [N,D] at the length that the mapper was trained with."""
        h = h.to(torch.get_default_dtype())  # an encoder may run in half precision
        return h if self.raw else F.normalize(h, dim=1) * math.sqrt(h.shape[1])

    def of(self, prompts: list[str], strength: float, where: list[str] | None = None, per_source: int = 1) -> Condition:
        """The condition of given prompts; `where` are attention prompts of two-prompt editing."""
        h = self.embed(prompts)
        return Condition(h, h if where is None else self.embed(where), strength, tuple(prompts), per_source)

    def draw(self, phrases: list[str], n: int, m: int, random: torch.Generator) -> list[list[str]]:
        """m training prompts for each of n sources, pairwise about different attributes."""
        return [self._draw_distinct(phrases, m, random) for _ in range(n)]

    def _draw_distinct(self, phrases: list[str], m: int, random: torch.Generator) -> list[str]:
        chosen: list[str] = []
        for _ in range(m):
            for _ in range(ATTEMPTS):
                prompt = sample_prompt(phrases, random)
                if not chosen or self._close(chosen, prompt) < self.distinct:
                    break
            chosen.append(prompt)
        return chosen

    def _close(self, chosen: list[str], prompt: str) -> float:
        """The largest cosine between `prompt` and those chosen before; -1 where any prompt is allowed."""
        if self.distinct >= 1:
            return -1.0
        return float((F.normalize(self.embed(chosen), dim=1) @ F.normalize(self.embed([prompt]), dim=1).T).max())
