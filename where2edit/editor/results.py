"""What an edit leaves on disk: its pictures, a sheet that explains them, the source's latent, and the recipe.

Legend: R output resolution.
"""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path

from PIL import Image
from torch import Tensor

from where2edit.core.records import Source
from where2edit.editor.editor import Editor, Result
from where2edit.editor.latents import load_latent, save_latent
from where2edit.editor.recipes import Recipe
from where2edit.files import pictures


def source_of(editor: Editor, recipe: Recipe) -> Source:
    """The source of a recipe: a seed's face or that of a saved latent."""
    if recipe.latent is None:
        return editor.source(recipe.seed)
    return editor.source(w=load_latent(recipe.latent, editor.frozen.generator))


def run_recipe(editor: Editor, recipe: Recipe, folder: Path) -> tuple[list[Path], list[Result]]:
    """Make the edits of a recipe and write pictures, sheet and recipe into `folder`; returns what was written."""
    source, steps = source_of(editor, recipe), [step.load(editor.resolution) for step in recipe.steps]
    if recipe.sweep:
        results = [editor.edit(source, replace(steps[0], strength=value)) for value in recipe.sweep]
    else:
        results = editor.sequence(source, steps, recipe.chosen())
    stem = f"seed{recipe.seed:04d}" if recipe.latent is None else Path(recipe.latent).stem
    stem = f"{stem}-{slug(results[0].step.prompt)}"
    paths = [folder / f"{stem}-{'sweep' if recipe.sweep else 'step'}{i + 1}.png" for i in range(len(results))]
    for result, path in zip(results, paths, strict=True):
        pictures.save_png(result.image[0], path)
    assert source.image is not None  # the editor walks its sources to the end
    sheet = result_sheet(source.image[0], results, bool(recipe.sweep))
    paths.append(pictures.save_png(sheet, folder / f"{stem}-sheet.png"))
    save_latent(source.w, folder / f"{stem}-w.safetensors")
    replace(recipe, results=tuple(describe(result) for result in results)).write(folder / f"{stem}.json")
    return [*paths, folder / f"{stem}.json"], results


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
