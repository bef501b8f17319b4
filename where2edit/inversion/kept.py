"""Inversions that are kept beside what was made of them: the next edit of the same photo starts at once.

An inversion is found again by the content of its photo, not by where that lies or what it is called.

Legend: L w codes, C channels and r resolution of the blend site.
"""

from __future__ import annotations

import math
import typing
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from where2edit.files import tensorfile
from where2edit.files.atomic import shortened
from where2edit.files.fingerprints import digest
from where2edit.inversion.base import Inverted
from where2edit.inversion.inverter import SHARES, Quality
from where2edit.photos.alignment import Alignment

KIND = "inversion"
QUALITIES: tuple[Quality, ...] = tuple(SHARES)  # the coarsest first
ADVICE = "leave it out, and the face is inverted again"
FARTHEST = 1e6  # pixels of a photo that a place or a side can have


@dataclass(frozen=True)
class InversionOf:
    """What an inversion is of, and what it was made with: by this it is found again."""

    photo_sha256: str  # of the photo's file
    face: int  # its number in the photo
    quality: Quality
    made_with: str  # digest of the generator and of how it is inverted

    @property
    def key(self) -> str:
        """The end of its file's name."""
        return digest(asdict(self))

    def path(self, folder: Path, photo: str) -> Path:
        """Where it is kept in a folder; `photo`: the name of the photo's file without its ending."""
        return folder / f"{shortened(photo, 60)}-face{self.face}-{self.quality}-{self.key}.safetensors"


@dataclass(frozen=True, eq=False)
class KeptInversion:
    """A face of a photo as the generator draws it, and where it is in the photo."""

    of: InversionOf
    alignment: Alignment
    inverted: Inverted
    faces: int  # that the photo has

    def write(self, path: Path) -> Path:
        """Write as safetensors, whole or not at all. Raises OSError where the place cannot be written."""
        tensors = {"w": self.inverted.w, "alignment": _numbers(self.alignment)}
        if self.inverted.residual is not None:
            tensors["residual"] = self.inverted.residual
        entries = {name: str(value) for name, value in asdict(self.of).items()}
        return tensorfile.write(path, tensors, KIND, entries | {"faces": str(self.faces)})


def _numbers(alignment: Alignment) -> Tensor:
    """The centre and the half side of an alignment, float64 [4]."""
    return torch.tensor((*alignment.centre, *alignment.half), dtype=torch.float64)


def read_kept(path: str | Path) -> KeptInversion:
    """The inversion in a file. Raises ValueError for another file, a damaged one, and numbers that none has."""
    tensors, metadata = tensorfile.read(path, KIND, ADVICE)
    sha256, face, quality, made_with, faces = (
        tensorfile.entry(metadata, name, path) for name in ("photo_sha256", "face", "quality", "made_with", "faces")
    )
    number, count = (int(text) if text.isdecimal() else 0 for text in (face, faces))
    w, residual = tensors.get("w"), tensors.get("residual")
    place = tensors.get("alignment", torch.zeros(0)).double().flatten().tolist()
    fits = w is not None and w.ndim == 3 and len(w) == 1 and (residual is None or residual.ndim == 4)
    fits = fits and len(place) == 4 and 1 <= number <= count and quality in QUALITIES
    if not fits or max(map(abs, place)) > FARTHEST or math.hypot(*place[2:]) < 1:
        raise ValueError(f"{path} holds no inversion of a face in a photo; {ADVICE}")
    assert w is not None
    inverted = Inverted(w.float(), None if residual is None else residual.float())
    alignment = Alignment((place[0], place[1]), (place[2], place[3]))
    of = InversionOf(sha256, number, typing.cast(Quality, quality), made_with)
    return KeptInversion(of, alignment, inverted, count)


def find_kept(folder: Path, wanted: InversionOf) -> tuple[Path, KeptInversion] | None:
    """The best inversion in a folder that is at least as good as the wanted one; None: there is none.

    A file that cannot be used is left out, and a warning says why.
    """
    for quality in reversed(QUALITIES[QUALITIES.index(wanted.quality) :]):
        here = InversionOf(wanted.photo_sha256, wanted.face, quality, wanted.made_with)
        for path in sorted(folder.glob(f"*-{here.key}.safetensors")):
            try:
                kept = read_kept(path)
            except ValueError as error:
                warnings.warn(f"an inversion is not used: {error}", stacklevel=2)
                continue
            if kept.of == here:
                return path, kept
    return None
