"""Sheets of edits for given seeds and prompts: faces by prompts, and the paper's three applications.

Legend: R output resolution.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from torch import Tensor

from where2edit.backbones.preprocess import resize
from where2edit.core.records import Source
from where2edit.editor.editor import Editor
from where2edit.editor.steps import Step
from where2edit.files import pictures

PROMPTS: tuple[str, ...] = (
    "blond hair",
    "black hair",
    "purple hair",
    "curly hair",
    "bangs",
    "a big smile",
    "lipstick",
    "rosy cheeks",
)
PROMPTS += ("bushy eyebrows", "eyeglasses", "a beard", "old")
QUALITY = 90  # of a JPEG
CELL = 256  # pixels of one picture


def contact_sheet(
    editor: Editor, seeds: list[int], prompts: list[str], cell: int = CELL, masks: bool = False, force: bool = False
) -> Image.Image:
    """Each seed's face, then one edit of it for every prompt; with `masks` a second line shows what was edited.

    Edits are made at full resolution and shrunk to `cell` pixels. `force`: also of prompts that are not understood.
    """
    steps = [Step(prompt, force=force) for prompt in prompts]
    for step in steps:
        editor.condition(step)  # what makes no sense is refused before the first face is made
    rows, labels = [], []
    for seed in seeds:
        source = editor.source(seed)
        line: list[Tensor | None] = [source.image]
        below: list[Tensor | None] = [None]
        for result in editor.session(source).edits(steps, certified=False, scored=False):
            line.append(result.image)
            below.append(pictures.overlay_mask(_face(source), result.edit.mask))
        for images in (line, below) if masks else (line,):
            rows.append(_shrunk(images, cell))
            labels.append(f"seed {seed}" if images is line else "")
    return pictures.sheet(rows, labels, ("source", *prompts), cell)


def sequence_sheet(editor: Editor, seeds: list[int], prompts: list[str], cell: int = CELL) -> Image.Image:
    """Each seed's face, then what becomes of it when the prompts are applied one after another (Fig. 10)."""
    rows = []
    for seed in seeds:
        source = editor.source(seed)
        results = editor.sequence(source, [Step(prompt) for prompt in prompts])
        rows.append(_shrunk([source.image, *(result.edit.image for result in results)], cell))
    return pictures.sheet(rows, [f"seed {seed}" for seed in seeds], ("source", *(f"+ {p}" for p in prompts)), cell)


def reference_sheet(
    editor: Editor, seed: int, references: list[int], wheres: list[str], cell: int = CELL
) -> Image.Image:
    """Regional style transfer (Fig. 11): the target, the generated faces that it follows, one row for each region.

    A region is an attention prompt; what changes there comes from the reference picture's embedding.
    """
    target, faces = editor.source(seed), [_face(editor.source(number)) for number in references]
    rows = [_shrunk([target.image, *faces], cell)]
    # A reference that a user brings has 8 bits per channel; so do these.
    brought = [pictures.to_picture(face) for face in faces]
    for where in wheres:
        edits = [editor.edit(target, Step(where, where, reference=picture)).edit for picture in brought]
        mask = pictures.overlay_mask(_face(target), edits[0].mask)
        rows.append(_shrunk([mask, *(edit.image for edit in edits)], cell))
    labels = ("target", *(f"like seed {number}" for number in references))
    return pictures.sheet(rows, ("", *wheres), labels, cell)


def two_prompt_sheet(editor: Editor, seeds: list[int], pairs: list[tuple[str, str]], cell: int = CELL) -> Image.Image:
    """Two-prompt editing (Fig. 12): one column for each pair of prompts, what appears and where."""
    rows = []
    for seed in seeds:
        source = editor.source(seed)
        edits = [editor.edit(source, Step(what, where)).edit for what, where in pairs]
        rows.append(_shrunk([source.image, *(edit.image for edit in edits)], cell))
    labels = ("source", *(f"{what} / {where}" for what, where in pairs))
    return pictures.sheet(rows, [f"seed {seed}" for seed in seeds], labels, cell)


def _face(source: Source) -> Tensor:
    """The source image [1,3,R,R]."""
    assert source.image is not None  # the editor's sources walk every site
    return source.image


def _shrunk(images: list[Tensor | None], cell: int) -> list[Tensor | None]:
    """Images [1,3,R,R] -> [3,cell,cell] in [-1,1]; None stays None."""
    return [None if image is None else resize(image, cell).clamp(-1, 1)[0] for image in images]


def save_sheet(sheet: Image.Image, path: Path) -> Path:
    """Write a sheet as PNG, or as JPEG where the name says so. Raises ValueError for another ending."""
    if path.suffix == ".png":
        return pictures.save_png(sheet, path)
    if path.suffix not in (".jpg", ".jpeg"):
        raise ValueError(f"a sheet is a .png or a .jpg, got {path}")
    return pictures.save_jpeg(sheet, path, QUALITY)
