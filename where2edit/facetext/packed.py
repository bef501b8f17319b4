"""Packed faces: pictures with label maps, compressed in one safetensors file; a thousand take a few megabytes.

Legend: N faces, s pixels. Pictures are uint8 [N,3,s,s], label maps uint8 [N,s,s] (classes of backbones.face_parsing).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from where2edit.files import tensorfile
from where2edit.files.pictures import encoded
from where2edit.files.regular import shown
from where2edit.files.tensor_checks import fitted

KIND = "faces"  # of the file
ADVICE = "write a packed face set with scripts/make_faces.py"
QUALITY = 92  # JPEG quality, without chroma subsampling: colours are what the recolouring is about


@dataclass(frozen=True)
class Faces:
    """N pictures with their label maps and an integer each (the seed of a generated face, the number of a photo)."""

    images: Tensor  # uint8 [N,3,s,s]
    labels: Tensor  # uint8 [N,s,s]
    ids: Tensor  # int64 [N]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows) -> Faces:
        """The faces `rows` (a slice, a list or an index tensor)."""
        return Faces(self.images[rows], self.labels[rows], self.ids[rows])

    def to(self, device: torch.device | str) -> Faces:
        return Faces(self.images.to(device), self.labels.to(device), self.ids.to(device))


def _encode(array: np.ndarray, kind: str) -> np.ndarray:
    """The bytes (uint8) of one picture as JPEG or PNG."""
    options = {"quality": QUALITY, "subsampling": 0} if kind == "JPEG" else {"optimize": True}
    return np.frombuffer(encoded(Image.fromarray(array), kind, **options), np.uint8)


def _blob(arrays: Sequence[np.ndarray], kind: str, pool: ThreadPoolExecutor) -> tuple[Tensor, Tensor]:
    """The bytes of all pictures in a row, and where each of them ends, from 0 on."""
    parts = list(pool.map(lambda array: _encode(array, kind), arrays))
    ends = np.cumsum([0] + [len(part) for part in parts])
    return torch.from_numpy(np.concatenate(parts)), torch.from_numpy(ends)


def save(path: str | Path, faces: Faces, metadata: dict[str, str]) -> None:
    """Write a set of faces, whole or not at all; pictures lose what JPEG at quality 92 loses, label maps nothing."""
    with ThreadPoolExecutor() as pool:
        pictures, picture_ends = _blob(list(faces.images.permute(0, 2, 3, 1).cpu().numpy()), "JPEG", pool)
        maps, map_ends = _blob(list(faces.labels.cpu().numpy()), "PNG", pool)
    tensors = {"pictures": pictures, "picture_ends": picture_ends, "maps": maps, "map_ends": map_ends}
    tensorfile.write(path, {**tensors, "ids": faces.ids.cpu()}, KIND, metadata)


def load(path: str | Path, size: int | None = None) -> Faces:
    """Read a set of faces, resized to `size` where it is given. Raises ValueError for a file that is not one."""
    tensors, _ = tensorfile.read(path, KIND, ADVICE)
    _check(tensors, path)
    pictures = _decode(tensors["pictures"], tensors["picture_ends"], lambda image: _picture(image, size))
    maps = _decode(tensors["maps"], tensors["map_ends"], lambda image: _map(image, size))
    return Faces(torch.stack(pictures).permute(0, 3, 1, 2).contiguous(), torch.stack(maps), tensors["ids"])


def _check(tensors: dict[str, Tensor], path: str | Path) -> None:
    """Raise ValueError for tensors that are no set of faces."""
    count = {name: value.numel() for name, value in tensors.items()}
    shapes = {"ids": (count.get("ids", 0), torch.int64)}
    for name in ("picture", "map"):
        shapes |= {
            f"{name}s": (count.get(f"{name}s", 0), torch.uint8),
            f"{name}_ends": (shapes["ids"][0] + 1, torch.int64),
        }
    expected = {name: torch.empty(size, dtype=dtype, device="meta") for name, (size, dtype) in shapes.items()}
    found = fitted(tensors, expected, path, "a set of faces", ADVICE)
    for name in ("picture", "map"):
        ends = found[f"{name}_ends"]
        if ends[0] != 0 or ends[-1] != len(found[f"{name}s"]) or not (ends.diff() > 0).all():
            raise ValueError(f"{shown(path)} says wrongly where its {name}s end; {ADVICE}")


def _decode(blob: Tensor, ends: Tensor, read: Callable[[Image.Image], Tensor]) -> list[Tensor]:
    """What `read` makes of each picture of a blob."""
    data, ends = blob.numpy(), ends.tolist()

    def one(span: tuple[int, int]) -> Tensor:
        return read(Image.open(io.BytesIO(data[span[0] : span[1]].tobytes()), formats=("JPEG", "PNG")))

    with ThreadPoolExecutor() as pool:
        return list(pool.map(one, zip(ends[:-1], ends[1:], strict=True)))


def _picture(image: Image.Image, size: int | None) -> Tensor:
    """uint8 [s,s,3]."""
    image = image.convert("RGB")
    if size and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image))


def _map(image: Image.Image, size: int | None) -> Tensor:
    """uint8 [s,s]."""
    if size and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.NEAREST)
    return torch.from_numpy(np.array(image))
