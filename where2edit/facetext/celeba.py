"""CelebA's aligned pictures, cropped as FFHQ frames faces, and its table of forty attributes.

CelebA is for non-commercial research only. The aligned pictures are 178x218 (or a copy scaled down, such as 89x109);
rows 26 to 204 of the full width frame a face as FFHQ does.

Legend: N pictures of s x s pixels.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

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
VALIDATION_EVERY = 10  # the row numbers that are a multiple of this are kept for validation
FRAME = (26 / 218, 204 / 218)  # rows of the aligned picture that FFHQ's framing keeps


@dataclass(frozen=True)
class AttributeTable:
    """The rows of an attribute file: a picture name and forty 0/1 values each."""

    names: tuple[str, ...]
    values: Tensor  # uint8 [N,40], columns in the order of ATTRIBUTES

    def validation(self) -> Tensor:
        """bool [N]: the rows kept out of training."""
        return torch.arange(len(self.names)) % VALIDATION_EVERY == 0


def training_rows(table: AttributeTable, limit: int | None = None) -> Tensor:
    """int64: the row numbers for training, or `limit` of them evenly spread."""
    rows = (~table.validation()).nonzero().flatten()
    if limit is None or limit >= len(rows):
        return rows
    if limit < 1:
        raise ValueError(f"the number of photos must be at least 1, got {limit}")
    return rows[torch.linspace(0, len(rows) - 1, limit).round().long()]


def read_attributes(path: str | Path) -> AttributeTable:
    """The attribute table of a CSV file with a column `image` and one per attribute (0/1 or -1/1).

    Raises ValueError naming the file and the column that is missing, or the value that is not one of these.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no attribute file at {path}; give the CSV with one column per CelebA attribute")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = [name for name in ("image", *ATTRIBUTES) if not rows or name not in rows[0]]
    if missing:
        raise ValueError(
            f"{path} lacks the columns {', '.join(missing[:4])}; it needs image and the 40 CelebA attributes"
        )
    try:
        values = np.array([[int(row[name]) for name in ATTRIBUTES] for row in rows])
    except (TypeError, ValueError):
        raise ValueError(f"{path} holds an attribute value that is no integer; 0/1 or -1/1 is allowed") from None
    if not np.isin(values, (-1, 0, 1)).all():
        raise ValueError(f"{path} holds attribute values other than -1, 0 and 1")
    return AttributeTable(tuple(row["image"] for row in rows), torch.from_numpy((values > 0).astype(np.uint8)))


def frame(image: Image.Image) -> Image.Image:
    """An aligned CelebA picture cropped to FFHQ's framing: full width, the rows FRAME, squared by resizing."""
    width, height = image.size
    top, bottom = (round(edge * height) for edge in FRAME)
    image = image.convert("RGB").crop((0, top, width, bottom))
    return image if image.size == (width, width) else image.resize((width, width), Image.Resampling.BICUBIC)


def read_images(folder: str | Path, names: Sequence[str], size: int | None = None) -> Tensor:
    """The framed pictures uint8 [N,3,s,s]; `size` None keeps the pictures' own width.

    Raises ValueError for a picture that is missing or cannot be read.
    """
    folder = Path(folder)

    def one(name: str) -> Tensor:
        try:
            image = frame(Image.open(folder / name))
        except (OSError, UnidentifiedImageError) as error:
            raise ValueError(
                f"cannot read {folder / name}: {error}; --data is the folder of the aligned pictures"
            ) from None
        if size:
            image = image.resize((size, size), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(image))

    with ThreadPoolExecutor() as pool:
        return torch.stack(list(pool.map(one, names))).permute(0, 3, 1, 2).contiguous()
