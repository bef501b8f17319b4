"""One mask and one strength for all frames: chosen on the first frame, and kept in the crop of each face.

Legend: r blend resolution, R output resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """What the first frame has chosen for each face, in the order of their places, and each step."""

    masks: Sequence[Sequence[Tensor]]  # [1,1,r,r] in [0,1]
    strengths: Sequence[Sequence[float]]

    @classmethod
    def of(cls, results: Sequence[Sequence[Result]]) -> Steady:
        """What the results of each face were made with."""
        masks = [[result.edit.mask for result in face] for face in results]
        return cls(masks, [[result.strength for result in face] for face in results])

    def steps(self, place: int, steps: Sequence[Step], size: int) -> list[Step]:
        """The steps of a face, in images of size x size, with its masks. Raises ValueError for a face without."""
        if place >= len(self.masks) or len(self.masks[place]) != len(steps):
            raise ValueError(f"no masks of face {place + 1} and {len(steps)} steps were kept; {ADVICE}")
        # Cell by cell, so that the mean over each is what the mask had.
        masks = [F.interpolate(mask, size=(size, size), mode="nearest") for mask in self.masks[place]]
        return [replace(step, mask=mask, mask_mode="replace") for step, mask in zip(steps, masks, strict=True)]

    def write(self, path: Path) -> Path:
        """Write as safetensors, whole or not at all. Raises OSError where the place cannot be written."""
        named = {f"mask-{i}-{n}": mask for i, face in enumerate(self.masks) for n, mask in enumerate(face)}
        strengths = torch.tensor(self.strengths, dtype=torch.float64)
        return tensorfile.write(path, named | {"strengths": strengths}, KIND, {})


def read_steady(path: str | Path) -> Steady:
    """What was kept in a file. Raises ValueError for another file and a damaged one."""
    tensors, _ = tensorfile.read(path, KIND, ADVICE)
    strengths = tensors.get("strengths", torch.zeros(0))
    if strengths.ndim == 2 and strengths.abs().max() <= 1:
        masks = [[tensors.get(f"mask-{i}-{n}") for n in range(len(face))] for i, face in enumerate(strengths)]
        kept = [[mask for mask in face if mask is not None and _is_mask(mask)] for face in masks]
        if all(len(face) == strengths.shape[1] for face in kept):
            return Steady(kept, strengths.tolist())
    raise ValueError(f"{path} holds no masks and strengths of frames; {ADVICE}")


def _is_mask(mask: Tensor) -> bool:
    return mask.ndim == 4 and mask.shape[:2] == (1, 1) and bool(((mask >= 0) & (mask <= 1)).all())
