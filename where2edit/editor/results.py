"""What an edit leaves on disk: its pictures, a sheet that explains them, the source's latent, and the recipe.

Legend: R output resolution.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, replace
from pathlib import Path

from PIL import Image
from torch import Tensor

from where2edit.core.records import Source
from where2edit.editor.editor import Editor
from where2edit.editor.latents import load_latent, save_latent
from where2edit.editor.layer_sheets import layer_rows, layer_sheet
from where2edit.editor.recipe_photos import RecipePhoto
from where2edit.editor.recipes import MadeWith, Recipe, RecipeStep, read_recipe
from where2edit.editor.session import Result
from where2edit.files import pictures
from where2edit.files.atomic import shortened
from where2edit.files.fingerprints import digest, file_sha256

DIGITS = 6  # of the digest in the name of an edit


def source_of(editor: Editor, recipe: Recipe) -> Source:
    """The source of a recipe: a seed's face or that of a saved latent."""
    if recipe.latent is None:
        return editor.source(recipe.seed)
    return editor.source(w=load_latent(recipe.latent, editor.frozen.generator))


def stem_of(recipe: Recipe) -> str:
    """What the files of a recipe are called: the source, the first prompt, and a short digest of all that differs.

    An edit by a plain prompt and nothing else needs no digest. Everything else does: a strength, further steps, prompts
    that a file name cannot spell.
    """
    first, asked = recipe.steps[0], recipe.asked()
    stem = f"{source_name(recipe)}-{slug(first.prompt)}"
    plain = recipe.steps == (RecipeStep(first.prompt),) and slug(first.prompt).replace("-", " ") == first.prompt
    photo = [] if asked.photo is None else photo_options(asked.photo)
    if plain and not (recipe.sweep or recipe.overrides or any(photo)):
        return stem
    asked_for = [[asdict(step) for step in asked.steps], asked.sweep, asked.overrides, *([photo] if photo else [])]
    return f"{stem}-{digest(asked_for)[:DIGITS]}"


def source_name(recipe: Recipe) -> str:
    """What the source of a recipe is called; frames have numbers, so that they can become a film again."""
    if recipe.photo is not None and recipe.photo.frame is not None:
        return f"frame{recipe.photo.frame:04d}"
    path = recipe.latent if recipe.photo is None else recipe.photo.path
    return f"seed{recipe.seed:04d}" if path is None else shortened(Path(path).stem, 60)


def photo_options(photo: RecipePhoto) -> list[int | str | bool | None]:
    """What is asked of a photo beyond the usual, equal for all frames; None and False: nothing."""
    quality = None if photo.quality == RecipePhoto.quality else photo.quality
    return [photo.face, quality, photo.keep_metadata, photo.first is not None]


def picture_names(recipe: Recipe, stem: str) -> list[str]:
    """The names of a recipe's pictures, one for each result."""
    kind, count = ("sweep", len(recipe.sweep)) if recipe.sweep else ("step", len(recipe.steps))
    return [f"{stem}-{kind}{number + 1}.png" for number in range(count)]


def check_unclaimed(recipe: Recipe, folder: Path) -> None:
    """Raise ValueError where the folder holds another edit of the same name; the same edit may be made again."""
    path = folder / f"{stem_of(recipe)}.json"
    if not os.path.lexists(path):
        return
    try:
        same = read_recipe(path).asked() == recipe.asked()
    except ValueError:
        same = False
    if not same:
        raise ValueError(f"{path} is another edit; give another folder with --out, or --overwrite to replace it")


def run_recipe(editor: Editor, recipe: Recipe, folder: Path) -> tuple[list[Path], list[Result]]:
    """Make the edits of a recipe and write pictures, sheets and recipe into `folder`; returns what was written.

    Methods whose layers have masks of their own have a second sheet, which shows those.
    """
    steps = [step.load(editor.resolution) for step in recipe.steps]
    for step in steps:
        editor.condition(step)  # what makes no sense is refused before the face is made
    source = source_of(editor, recipe)
    if recipe.sweep:
        results = editor.session(source).edits([replace(steps[0], strength=value) for value in recipe.sweep])
    else:
        results = editor.sequence(source, steps, recipe.chosen())
    stem = stem_of(recipe)
    paths = [folder / name for name in picture_names(recipe, stem)]
    for result, path in zip(results, paths, strict=True):
        pictures.save_png(result.image[0], path)
    digests = [file_sha256(path) for path in paths]
    assert source.image is not None  # the editor walks its sources to the end
    sheet = result_sheet(source.image[0], results, bool(recipe.sweep))
    paths.append(pictures.save_png(sheet, folder / f"{stem}-sheet.png"))
    if any(result.edit.by_layer for result in results):
        paths.append(pictures.save_png(layers_of(source, results), folder / f"{stem}-layers.png"))
    save_latent(source.w, folder / f"{stem}-w.safetensors")
    described = [describe(result) | {"sha256": sha256} for result, sha256 in zip(results, digests, strict=True)]
    made = replace(recipe, results=tuple(described), made_with=MadeWith.here(editor.device))
    made.write(folder / f"{stem}.json")
    return [*paths, folder / f"{stem}.json"], results


def layers_of(source: Source, results: list[Result]) -> Image.Image:
    """The mask of each layer, a row for each edit that has them."""
    rows: list[list[Tensor]] = []
    labels: list[str] = []
    layers: dict[str, Tensor] = {}
    for result in results:
        if result.edit.by_layer:
            rows += layer_rows(source, result.edit)
            labels.append(f"{result.step.prompt} {result.strength:g}")
            layers = result.edit.by_layer.masks
    return layer_sheet(rows, labels, layers)


def slug(prompt: str) -> str:
    """A prompt as a short file name."""
    return re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40] or "edit"


def describe(result: Result) -> dict:
    """A result as a recipe keeps it: prompt, strength, cosines and certificate, ready for JSON."""
    certificate = result.edit.certificate[0]
    scores = {"cosine_before": result.before, "cosine_after": result.after, "understood": result.understood}
    return {
        "prompt": result.step.prompt,
        "strength": result.strength,
        **scores,
        "certificate": asdict(certificate),
    }


def result_sheet(source: Tensor, results: list[Result], sweep: bool, cell: int = 384) -> Image.Image:
    """Before, after, mask and difference, one row per step; a sweep is one row: source, an edit per strength, mask.

    source: [3,R,R] in [-1,1]. Cells are `cell` pixels wide.
    """
    if sweep:
        labels = ("source", *(f"strength {result.strength:g}" for result in results), "mask")
        overlay = pictures.overlay_mask(source, results[-1].edit.mask)
        return pictures.sheet([[source, *(r.image[0] for r in results), overlay]], column_labels=labels, cell=cell)
    rows, before = [], source
    for result in results:
        image = result.image[0]
        overlay = pictures.overlay_mask(before, result.edit.mask)
        rows.append([before, image, overlay, pictures.difference(before, image)])
        before = image
    names = [result.step.prompt for result in results]
    return pictures.sheet(rows, names, ("before", "after", "mask", "difference x4"), cell=cell)
