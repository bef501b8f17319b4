"""The captions of a training as tensors: which concepts each names, what it says of them, and its text features.

Legend: K captions, M = 3 concepts that a caption may name, C concepts, B pictures, F text features.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from where2edit.facetext.captions import Caption
from where2edit.facetext.phrases import CONCEPTS
from where2edit.files import tensorfile
from where2edit.files.fingerprints import text_sha256

MEMBERS = 3  # M
KIND = "caption-bank"  # of the file of features


class CaptionBank:
    """Captions as tensors: `concepts` and `sides` [K,M] (unused places -1 and 1), `features` [K,F]."""

    def __init__(self, captions: list[Caption], features: Tensor):
        self.captions, self.features = captions, features
        padded = [list(c.says) + [(-1, 1)] * (MEMBERS - len(c.says)) for c in captions]
        self.concepts, self.sides = torch.tensor(padded).unbind(2)
        self.single = (self.concepts[:, 1] < 0).nonzero().flatten()
        self.composite = (self.concepts[:, 1] >= 0).nonzero().flatten()
        key = self.concepts[self.single, 0] * 2 + self.sides[self.single, 0]
        self.by_side = [self.single[key == i] for i in range(2 * len(CONCEPTS))]

    def sample(self, count: int, affirmed: float, draw: torch.Generator, odds: Tensor | None = None) -> Tensor:
        """`count` caption numbers: four fifths name one concept, the rest are composites.

        affirmed: share of the former that affirm their concept. odds [C]: how often each concept is drawn; None: alike.
        """
        many = count - count // 5
        if odds is None:
            concepts = torch.randint(len(CONCEPTS), (many,), generator=draw)
        else:
            concepts = torch.multinomial(odds, many, True, generator=draw)
        sides = (torch.rand(many, generator=draw) < affirmed).long()
        picks = [_pick(self.by_side[key], draw) for key in (concepts * 2 + sides).tolist()]
        others = self.composite[torch.randint(len(self.composite), (count - many,), generator=draw)]
        return torch.cat([torch.stack(picks), others])

    def truth(self, rows: Tensor, truth: Tensor) -> Tensor:
        """What captions `rows` [K] say of pictures with `truth` [B,C]: 1, 0 or -1 for unknown, [B,K]."""
        concepts, sides = self.concepts[rows].to(truth.device), self.sides[rows].to(truth.device)
        value = truth[:, concepts.clamp_min(0)]
        value = torch.where((sides == 0) & (value >= 0), 1 - value, value)
        value = torch.where(concepts < 0, torch.ones_like(value), value)
        unknown = torch.where((value < 0).any(2), -1, 1)
        return torch.where((value == 0).any(2), torch.zeros_like(unknown), unknown)


def _pick(rows: Tensor, draw: torch.Generator) -> Tensor:
    """One of the rows."""
    return rows[torch.randint(len(rows), (), generator=draw)]


def caption_bank(
    captions: list[Caption], tower: Callable[[], Callable[[list[str]], Tensor]], cache: Path, chunk: int = 64
) -> CaptionBank:
    """The bank of these captions, whose features are kept in the file `cache`.

    tower() gives the text tower (text_image.minilm.MiniLM); it is called only where the file is missing, damaged or of
    other captions. Features are computed in chunks and stored in half precision.
    """
    stamp = text_sha256("\n".join(c.text for c in captions))
    if tensorfile.intact(cache, KIND):
        tensors, about = tensorfile.read(cache, KIND)
        if about.get("captions") == stamp:
            return CaptionBank(captions, tensors["features"].float())
    words, texts = tower(), [c.text for c in captions]
    features = torch.cat([words(texts[i : i + chunk]) for i in range(0, len(texts), chunk)])
    tensorfile.write(cache, {"features": features.half()}, KIND, {"captions": stamp})
    return CaptionBank(captions, features.half().float())
