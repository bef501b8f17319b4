"""Tensors <-> pictures: PNG files, labelled sheets, overlays and visible differences.

Legend: B batch, H x W pixels, h x w cells of labels and masks. Images are [B,3,H,W] or [3,H,W] float in [-1,1];
everything here returns new values.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor
from torch.nn import functional as F

from where2edit.files.atomic import write_bytes
from where2edit.files.labels import label
from where2edit.files.picture_reading import read_picture, to_rgb

INK, PAPER = (20, 20, 20), (255, 255, 255)


def to_uint8(images: Tensor) -> np.ndarray:
    """Images [B,3,H,W] in [-1,1] -> uint8 array [B,H,W,3]; values outside are clipped, not-a-number is refused."""
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images must be [B,3,H,W], got {list(images.shape)}; one image needs images[None]")
    images = images.detach().float().cpu()
    if not torch.isfinite(images).all():
        raise ValueError("images hold values that are not finite; a picture of them would be wrong")
    return images.add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def to_picture(image: Tensor) -> Image.Image:
    """One image [3,H,W] or [1,3,H,W] in [-1,1] -> 8-bit RGB picture."""
    return Image.fromarray(to_uint8(image[None] if image.ndim == 3 else image)[0])


def save_png(image: Tensor | Image.Image, path: str | Path) -> Path:
    """Write one image [3,H,W] (or [1,3,H,W], or a picture) as PNG: the same pixels give the same bytes.

    The folder is made; the file appears whole or not at all. Raises OSError when the place cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path} does not end in .png; pictures are written as PNG because it loses nothing")
    if torch.is_tensor(image) and image.ndim == 4 and len(image) != 1:
        raise ValueError(f"save_png writes one image, got {list(image.shape)}; take one or build a sheet")
    picture = to_picture(image) if torch.is_tensor(image) else image.convert("RGB")
    # A copy without metadata, so that nothing of where a picture came from lands in the bytes.
    picture = Image.fromarray(np.asarray(picture))
    return write_bytes(path, encoded(picture, "PNG", compress_level=6))


def encoded(picture: Image.Image, kind: str, **options: int | bytes) -> bytes:
    """The bytes of a picture in the format `kind`.

    Pillow hands a file over without looking whether the disk took all of it, so that it never gets one of ours.
    """
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def to_image(picture: Image.Image) -> Tensor:
    """A picture of any mode -> one image [1,3,H,W] in [-1,1]. Raises ValueError for modes without a known range."""
    pixels = torch.from_numpy(np.array(to_rgb(picture, "the picture"), dtype=np.uint8))  # [H,W,3]
    return pixels.permute(2, 0, 1)[None].float().div(127.5).sub(1)


def save_jpeg(picture: Image.Image, path: str | Path, quality: int) -> Path:
    """Write a picture as JPEG of a quality in [1,95], whole or not at all. Raises OSError as `save_png` does."""
    return write_bytes(path, encoded(picture, "JPEG", quality=quality))


def load_image(path: str | Path, size: int | None = None) -> Tensor:
    """Read a picture file -> [1,3,H,W] in [-1,1]; with `size` its central square, resized to [1,3,size,size].

    Raises ValueError as `read_picture` does.
    """
    if size is not None and size < 1:
        raise ValueError(f"size must be at least 1 pixel, got {size}")
    picture = read_picture(path)
    if size is not None:
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
    return to_image(picture)


def palette(number: int) -> Tensor:
    """`number` colours that are easy to tell apart -> [number,3] in [-1,1]; colour i does not depend on `number`."""
    grid = torch.cartesian_prod(*[torch.linspace(-1, 1, 6)] * 3)
    grid = grid[grid.amax(1) - grid.amin(1) > 1]  # greys are left out: they look like parts of the picture
    if not 0 <= number <= len(grid):
        raise ValueError(f"palette has {len(grid)} colours, got a request for {number}")
    picked = [grid[-1]]
    distance = torch.full((len(grid),), float("inf"))
    while len(picked) < number:
        # Greedy farthest point: each colour is the one least like all before it.
        distance = torch.minimum(distance, (grid - picked[-1]).norm(dim=1))
        picked.append(grid[distance.argmax()])
    return torch.stack(picked)[:number]


def overlay_regions(image: Tensor, labels: Tensor, opacity: float = 0.6) -> Tensor:
    """Images tinted by their region labels, one colour per label.

    image: [3,H,W] or [B,3,H,W]; labels: integers [h,w] or [B,h,w], enlarged by nearest neighbour. Same shape back.
    """
    batch, labels = _batch(image), labels if labels.ndim == 3 else labels[None]
    if labels.ndim != 3 or len(labels) != len(batch) or labels.is_floating_point() or labels.min() < 0:
        got = f"{labels.dtype} {list(labels.shape)}"
        raise ValueError(f"labels must be integers >= 0 of shape [{len(batch)},h,w], got {got}")
    colours = palette(int(labels.max()) + 1).to(batch)[labels.to(batch.device).long()]  # [B,h,w,3]
    colours = F.interpolate(colours.permute(0, 3, 1, 2), size=batch.shape[2:], mode="nearest")
    return torch.lerp(batch, colours, opacity).reshape(image.shape)


def overlay_mask(
    image: Tensor, mask: Tensor, colour: Sequence[float] = (1.0, -1.0, -1.0), opacity: float = 0.6
) -> Tensor:
    """Tint images with `colour` (three values in [-1,1]; red by default) where the mask is on, in proportion to it.

    image: [3,H,W] or [B,3,H,W]; mask in [0,1]: [h,w], [1,h,w] or [B,1,h,w], enlarged by nearest neighbour.
    """
    batch = _batch(image)
    mask = mask.reshape(-1, 1, *mask.shape[-2:]).to(batch)
    if len(mask) not in (1, len(batch)):
        raise ValueError(f"mask must be [{len(batch)},1,h,w], got {list(mask.shape)}")
    weight = F.interpolate(mask, size=batch.shape[2:], mode="nearest").clamp(0, 1) * opacity
    tint = torch.as_tensor(colour, dtype=batch.dtype, device=batch.device).reshape(1, 3, 1, 1)
    return torch.lerp(batch, tint.expand_as(batch), weight.expand_as(batch)).reshape(image.shape)


def difference(a: Tensor, b: Tensor, gain: float = 4.0, floor: float = 0.25) -> Tensor:
    """|a - b| as grey images in [-1,1]: black where equal, at least `floor` (0 to 1) bright elsewhere.

    a, b: [3,H,W] or [B,3,H,W] in [-1,1]. The largest channel counts, amplified `gain` times; the floor makes even a
    difference of one rounding step visible.
    """
    if a.shape != b.shape:
        raise ValueError(f"difference needs two images of one shape, got {list(a.shape)} and {list(b.shape)}")
    distance = (_batch(a) - _batch(b)).abs().amax(dim=1, keepdim=True)  # [B,1,H,W] in [0,2]
    level = torch.where(distance > 0, (distance * gain / 2).clamp(floor, 1.0), torch.zeros_like(distance))
    return (level * 2 - 1).expand(-1, 3, -1, -1).reshape(a.shape)


def _batch(image: Tensor) -> Tensor:
    """[3,H,W] or [B,3,H,W] -> [B,3,H,W]."""
    batch = image if image.ndim == 4 else image[None]
    if batch.ndim != 4 or batch.shape[1] != 3:
        raise ValueError(f"image must be [3,H,W] or [B,3,H,W], got {list(image.shape)}")
    return batch


def sheet(
    rows: Sequence[Sequence[Tensor | None]],
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    cell: int = 256,
) -> Image.Image:
    """A labelled grid of images [3,H,W] in [-1,1]; None leaves a cell empty, long labels are wrapped.

    `cell` is the side of one square in pixels; other shapes are fitted into it. Labels may be left out entirely. Raises
    ValueError for other numbers of labels, no image, and cells under 16 px.
    """
    columns = max((len(row) for row in rows), default=0)
    for labels, count, kind in ((row_labels, len(rows), "row"), (column_labels, columns, "column")):
        if labels and len(labels) != count:
            raise ValueError(f"sheet has {count} {kind}s but {len(labels)} {kind} labels; give one for each or none")
    if not columns or cell < 16:
        raise ValueError(f"sheet needs one image or more and cells of at least 16 px, got {columns} columns of {cell}")
    height, gap = max(11, cell // 14), max(2, cell // 64)
    heads, sides = ([label(text, height, cell - 2 * gap) for text in texts] for texts in (column_labels, row_labels))
    left = max((each.size[0] for each in sides), default=0) + (3 * gap if sides else 0)
    top = max((each.size[1] for each in heads), default=0) + (3 * gap if heads else 0)
    tall = [max(cell, sides[i].size[1] + 2 * gap if sides else 0) for i in range(len(rows))]
    page = Image.new("RGB", (left + columns * (cell + gap) + gap, top + sum(tall) + gap * (len(rows) + 1)), PAPER)
    draw, y = ImageDraw.Draw(page), top + gap
    for column, head in enumerate(heads):
        place = (left + gap + column * (cell + gap) + cell // 2, top - gap)
        draw.multiline_text(place, head.text, INK, head.font, anchor="md", align="center")
    for index, row in enumerate(rows):
        if sides:
            place = (2 * gap, y + tall[index] // 2)
            draw.multiline_text(place, sides[index].text, INK, sides[index].font, anchor="lm")
        for column, image in enumerate(row):
            if image is not None:
                _paste(page, image, left + gap + column * (cell + gap), y + (tall[index] - cell) // 2, cell)
        y += tall[index] + gap
    return page


def _paste(page: Image.Image, image: Tensor, x: int, y: int, cell: int) -> None:
    """Put an image into the square cell whose upper left corner is (x, y), centred."""
    picture = to_picture(image)
    scale = cell / max(picture.size)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    # Enlarged cells stay blocky on purpose: smoothing would invent detail in small images and masks.
    method = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
    picture = picture if size == picture.size else picture.resize(size, method)
    page.paste(picture, (x + (cell - size[0]) // 2, y + (cell - size[1]) // 2))
