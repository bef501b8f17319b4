"""Contact sheets of edits: rows of faces, columns of prompts, chosen by seeds and a list, not by hand."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from where2edit import pictures
from where2edit.backbones.preprocess import resize
from where2edit.editor import Editor, Step

PROMPTS = ("blond hair", "black hair", "purple hair", "curly hair", "bangs", "a big smile", "lipstick", "rosy cheeks")
PROMPTS += ("bushy eyebrows", "eyeglasses", "a beard", "old")
QUALITY = 90  # of a JPEG


def contact_sheet(
    editor: Editor, seeds: list[int], prompts: list[str], cell: int = 256, masks: bool = False
) -> Image.Image:
    """Each seed's face, then one edit of it for every prompt; with `masks` a second line shows what was edited.

    Edits are made at full resolution and shrunk to `cell` pixels.
    """
    rows, labels = [], []
    for seed in seeds:
        source = editor.source(seed)
        line, below = [source.image], [None]
        for prompt in prompts:
            edit = editor.edit(source, Step(prompt)).edit
            line.append(edit.image)
            below.append(pictures.overlay_mask(source.image, edit.mask))
        for images in (line, below) if masks else (line,):
            rows.append([None if image is None else resize(image, cell).clamp(-1, 1)[0] for image in images])
            labels.append(f"seed {seed}" if images is line else "")
    return pictures.sheet(rows, labels, ("source", *prompts), cell)


def save(sheet: Image.Image, path: Path) -> Path:
    """Write a sheet as PNG, or as JPEG where the name says so. Raises ValueError for another ending."""
    if path.suffix == ".png":
        return pictures.save_png(sheet, path)
    if path.suffix not in (".jpg", ".jpeg"):
        raise ValueError(f"a sheet is a .png or a .jpg, got {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    sheet.save(partial, format="JPEG", quality=QUALITY)
    partial.replace(path)
    return path
