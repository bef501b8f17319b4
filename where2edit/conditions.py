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
    """Embeds prompts once and builds Conditions; h has length sqrt(D), so that its numbers are about N(0,1)."""

    def __init__(self, encoder: TextImage):
        self.encoder = encoder
        self._known: dict[str, Tensor] = {}

    @torch.no_grad()
    def embed(self, prompts: list[str]) -> Tensor:
        """Prompts -> [N,D] of length sqrt(D). Raises ValueError for an empty prompt."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._known]
        if any(not prompt.strip() for prompt in new):
            raise ValueError("an empty prompt says nothing; write what should change, for example 'blond hair'")
        if new:
            for prompt, h in zip(new, self.encoder.text(new), strict=True):
                self._known[prompt] = F.normalize(h.float(), dim=0) * math.sqrt(len(h))
        return torch.stack([self._known[prompt] for prompt in prompts])

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
                if not chosen or float((self.embed(chosen) @ self.embed([prompt]).T).max()) < DISTINCT * self._norm():
                    break
            chosen.append(prompt)
        return chosen

    def _norm(self) -> int:
        return len(next(iter(self._known.values())))
