"""One mask and one strength for all frames: chosen on the first frame, and kept in the crop of each face.

Legend: r blend resolution, R output resolution.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.editor.session import Result
from where2edit.editor.steps import Step
from where2edit.files import tensorfile

KIND = "steady-edit"
ADVICE = "edit the frames again"


@dataclass(frozen=True, eq=False)
class Steady:
    """What the first frame has chosen for each face, by its place, and each step."""

    masks: Mapping[int, Sequence[Tensor]]  # [1,1,r,r] in [0,1]
    strengths: Mapping[int, Sequence[float]]

    @classmethod
    def of(cls, results: Mapping[int, Sequence[Result]]) -> Steady:
        """What the results of each face were made with."""
        masks = {place: [result.edit.mask for result in face] for place, face in results.items()}
        return cls(masks, {place: [result.strength for result in face] for place, face in results.items()})

    def steps(self, place: int, steps: Sequence[Step], size: int) -> list[Step]:
        """The steps of a face, in images of size x size, with its masks. Raises ValueError for a face without."""
        masks = self.masks.get(place, ())
        if len(masks) != len(steps):
            raise ValueError(f"no masks for {len(steps)} steps of face {place + 1} were kept; {ADVICE}")
        # Cell by cell, so that the mean over each is what the mask had.
        large = [F.interpolate(mask, size=(size, size), mode="nearest") for mask in masks]
        return [replace(step, mask=mask, mask_mode="replace") for step, mask in zip(steps, large, strict=True)]

    def write(self, path: Path) -> Path:
        """Write as safetensors, whole or not at all. Raises OSError where the place cannot be written."""
        named = {f"masks-{place}": torch.cat(list(masks)) for place, masks in self.masks.items()}
        numbers = {f"strengths-{place}": torch.tensor(x, dtype=torch.float64) for place, x in self.strengths.items()}
        return tensorfile.write(path, named | numbers, KIND, {})


def read_steady(path: str | Path) -> Steady:
    """What was kept in a file. Raises ValueError for another file and a damaged one."""
    tensors, _ = tensorfile.read(path, KIND, ADVICE)
    found = {int(name[6:]): masks for name, masks in tensors.items() if re.fullmatch(r"masks-\d{1,5}", name)}
    strengths = {place: tensors.get(f"strengths-{place}", torch.zeros(0)).flatten() for place in found}
    for place, masks in found.items():
        whole = masks.ndim == 4 and masks.shape[1] == 1 and bool(((masks >= 0) & (masks <= 1)).all())
        if not whole or len(masks) != len(strengths[place]) or (strengths[place].abs() > 1).any():
            raise ValueError(f"{path} holds no masks and strengths of frames; {ADVICE}")
    lists = {place: numbers.tolist() for place, numbers in strengths.items()}
    return Steady({place: masks.split(1) for place, masks in found.items()}, lists)
