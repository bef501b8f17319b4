"""CelebA's aligned pictures, cropped as FFHQ frames faces, and its table of forty attributes.

CelebA is for non-commercial research only. The aligned pictures are 178x218 (or a copy scaled down, such as 89x109);
rows 26 to 204 of the full width frame a face as FFHQ does.

Legend: N pictures of s x s pixels.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from where2edit.files.picture_reading import read_picture
from where2edit.files.regular import shown
from where2edit.files.texts import read_table

ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee",
    "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes",
    "No_Beard",
    "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns", "Smiling",
    "Straight_Hair",
    "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
)  # fmt: skip
IMAGE_COLUMNS = ("image", "image_id")  # as this project and as copies of CelebA call the names of the pictures
VALIDATION_EVERY = 10  # the row numbers that are a multiple of this are kept for validation
FRAME = (26 / 218, 204 / 218)  # rows of the aligned picture that FFHQ's framing keeps


@dataclass(frozen=True)
class AttributeTable:
    """The rows of an attribute file: a picture name and forty 0/1 values each."""

    names: tuple[str, ...]
    values: Tensor  # uint8 [N,40], columns in the order of ATTRIBUTES
    readable: Tensor  # bool [N]: the rows whose picture can be read; the others keep their numbers and are never used

    def validation(self) -> Tensor:
        """bool [N]: the rows kept out of training."""
        return self._kept_out() & self.readable

    def training(self) -> Tensor:
        """bool [N]: the rows for training."""
        return ~self._kept_out() & self.readable

    def _kept_out(self) -> Tensor:
        return torch.arange(len(self.names)) % VALIDATION_EVERY == 0


def training_rows(table: AttributeTable, limit: int | None = None) -> Tensor:
    """int64: the row numbers for training, or `limit` of them evenly spread."""
    rows = table.training().nonzero().flatten()
    if limit is None or limit >= len(rows):
        return rows
    if limit < 1:
        raise ValueError(f"the number of photos must be at least 1, got {limit}")
    return rows[torch.linspace(0, len(rows) - 1, limit).round().long()]


def read_attributes(path: str | Path) -> AttributeTable:
    """The attribute table of CelebA's own list, or of a CSV file: a column `image`, one per attribute (0/1, -1/1).

    Raises ValueError naming the file and the column that is missing, or the value that is not one of these.
    """
    head, rows = read_table(path, "attribute file")
    head = ["image" if name in IMAGE_COLUMNS else name for name in head]
    missing = [name for name in ("image", *ATTRIBUTES) if not rows or name not in head]
    if missing:
        raise ValueError(
            f"{shown(path)} lacks the columns {', '.join(missing[:4])}; it needs image and the 40 CelebA attributes"
        )
    columns = [head.index(name) for name in ATTRIBUTES]
    try:
        values = np.array([[int(row[column]) for column in columns] for row in rows])
    except (TypeError, ValueError):
        raise ValueError(f"{shown(path)} holds an attribute value that is no integer; 0/1 or -1/1 is allowed") from None
    if not np.isin(values, (-1, 0, 1)).all():
        raise ValueError(f"{shown(path)} holds attribute values other than -1, 0 and 1")
    names = tuple(row[head.index("image")] for row in rows)
    return AttributeTable(names, torch.from_numpy((values > 0).astype(np.uint8)), torch.ones(len(names)).bool())


def read_photos(folder: Path, attributes: Path, size: int) -> tuple[Tensor, AttributeTable]:
    """All photos of an attribute file, uint8 [N,3,size,size], and its table, which knows which of them are damaged."""
    table = read_attributes(attributes)
    photos, readable = read_images(folder, table.names, size)
    return photos, replace(table, readable=readable)


def frame(image: Image.Image) -> Image.Image:
    """An aligned CelebA picture cropped to FFHQ's framing: full width, the rows FRAME, squared by resizing."""
    width, height = image.size
    top, bottom = (round(edge * height) for edge in FRAME)
    image = image.crop((0, top, width, bottom))
    return image if image.size == (width, width) else image.resize((width, width), Image.Resampling.BICUBIC)


def read_images(folder: str | Path, names: Sequence[str], size: int | None = None) -> tuple[Tensor, Tensor]:
    """The framed pictures uint8 [N,3,s,s], and which could be read, bool [N]; `size` None keeps their own width.

    One that is damaged is named in a warning, and is black. Raises ValueError for one that is missing, and where none
    can be read.
    """
    folder = Path(folder)
    if absent := next((name for name in names if not (folder / name).is_file()), None):
        raise ValueError(
            f"cannot read {shown(folder / absent)}: no such file; --data is the folder of the aligned pictures"
        )

    def one(name: str) -> Tensor | str:
        try:
            image = frame(read_picture(folder / name))
        except ValueError as error:
            return str(error)
        if size:
            image = image.resize((size, size), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(image))

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(one, names))
    damaged = [each for each in found if isinstance(each, str)]
    for each in damaged:
        warnings.warn(f"left out: {each}", stacklevel=2)
    if len(damaged) == len(found):
        raise ValueError(f"none of the {len(found)} pictures in {shown(folder)} can be read: {damaged[0]}")
    black = torch.zeros_like(next(each for each in found if torch.is_tensor(each)))
    images = torch.stack([each if torch.is_tensor(each) else black for each in found])
    return images.permute(0, 3, 1, 2).contiguous(), torch.tensor([torch.is_tensor(each) for each in found])
