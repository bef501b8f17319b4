"""Edits on disk: pictures, a sheet, and a JSON recipe from which the same bytes can be made again."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from where2edit.core import config as configs
from where2edit.editor.editor import Editor, Result, Step
from where2edit.editor.profile import Profile
from where2edit.editor.weights import find_weights
from where2edit.files import pictures, tensorfile
from where2edit.files.atomic import write_text
from where2edit.files.fingerprints import file_sha256
from where2edit.files.pictures import read_picture

SWEEP = (-0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2)


@dataclass(frozen=True)
class RecipeStep:
    """A Step as a recipe keeps it: the reference picture and the mask are named by their paths."""

    prompt: str
    where: str | None = None
    strength: float | None = None
    threshold: float | None = None
    reference: str | None = None
    mask: str | None = None
    mask_mode: Literal["replace", "multiply"] = "replace"

    def load(self) -> Step:
        """The Step with its pictures read. Raises ValueError for a file that is missing or not a picture."""
        reference, mask = (None if path is None else read_picture(path) for path in (self.reference, self.mask))
        return Step(self.prompt, self.where, self.strength, self.threshold, reference, mask, self.mask_mode)


@dataclass(frozen=True)
class Recipe:
    """Everything that is needed to make an edit again: the steps, and the source as a seed or a latent."""

    config: dict  # the resolved profile
    weights_sha256: str  # of the editor's file; "" for an untrained one
    steps: tuple[RecipeStep, ...]
    seed: int | None = None
    latent: str | None = None  # safetensors with one tensor w, [512] or [L,512]
    sweep: tuple[float, ...] = ()  # strengths of the only step, side by side
    inputs: dict[str, str] = field(default_factory=dict)  # sha256 of the pictures and latents that the steps name
    results: tuple[dict, ...] = ()

    def __post_init__(self):
        if not self.steps or (self.seed is None) == (self.latent is None):
            raise ValueError("a recipe has one step or more, and either a seed or a latent")

    def write(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        write_text(path, json.dumps(asdict(self), indent=2) + "\n")


def read(path: str | Path) -> Recipe:
    """A recipe from its JSON. Raises ValueError for a file that is not one."""
    try:
        tree = json.loads(Path(path).read_text(encoding="utf-8"))
        return configs.build(Recipe, tree, "recipe")
    except OSError as error:
        raise ValueError(f"cannot read the recipe {path}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} is not an edit recipe ({error}); give a .json that scripts/edit.py wrote") from None


def weights_digest(profile: Profile, weights: str | None) -> str:
    """sha256 of the editor's weights, "" when there are none."""
    weights = weights or profile.method.weights
    return file_sha256(find_weights(weights)) if weights else ""


def digests(paths: list[str | None]) -> dict[str, str]:
    """sha256 of each file by its path; None is left out. Raises ValueError for a file that cannot be read."""
    try:
        return {path: file_sha256(path) for path in paths if path is not None}
    except OSError as error:
        raise ValueError(f"cannot read {error.filename}: {error.strerror}") from None


def split_description(text: str) -> list[str]:
    """A long description -> single attributes: split at commas, periods, semicolons and "and", fillers dropped."""
    pieces = re.split(r"[,.;]|\band\b", text)
    words = "he|she|they|this|the|a|an|person|man|woman|who|has|have|having|is|are|with|wears|wearing"
    fillers = rf"^(?:(?:{words})(?:\s+|$))+"
    bare = (re.sub(fillers, "", piece.strip(), flags=re.IGNORECASE).strip() for piece in pieces)
    # "a man" is all filler: the piece as it was written is the attribute then.
    found = [short or piece.strip() for short, piece in zip(bare, pieces, strict=True) if piece.strip()]
    if not found:
        raise ValueError(f"no attribute is left of the description {text!r}; separate attributes by commas")
    return found


def large_first(editor: Editor, recipe: Recipe) -> Recipe:
    """The steps by the area that each would edit, the largest first, so that small parts are painted last."""
    source = source_of(editor, recipe)
    with torch.no_grad():
        steps = [step.load() for step in recipe.steps]
        edits = [editor.method.propose(source, editor.condition(step)) for step in steps]
        areas = [editor.mask(edit, step).mean().item() for edit, step in zip(edits, steps, strict=True)]
    order = sorted(range(len(areas)), key=lambda i: -areas[i])
    return replace(recipe, steps=tuple(recipe.steps[i] for i in order))


def source_of(editor: Editor, recipe: Recipe):
    """The source of a recipe: a seed's face or that of a saved latent."""
    return editor.source(recipe.seed) if recipe.latent is None else editor.source(w=load_latent(recipe.latent))


def load_latent(path: str | Path) -> Tensor:
    """The tensor `w` of a safetensors file, [512] or [L,512], as [1,...]. Raises ValueError for anything else."""
    tensors, _ = tensorfile.read(path, advice="save one tensor 'w' as safetensors")
    if "w" not in tensors or tensors["w"].ndim not in (1, 2):
        shapes = {name: list(value.shape) for name, value in tensors.items()}
        raise ValueError(f"{path} must hold one tensor 'w' of [512] or [L,512], got {shapes}")
    if not torch.isfinite(tensors["w"]).all():
        raise ValueError(f"the latent {path} holds values that are not finite; no face can be made of it")
    return tensors["w"].float()[None]


def perform(editor: Editor, recipe: Recipe, folder: Path) -> tuple[list[Path], list[Result]]:
    """Make the edits of a recipe and write pictures, sheet and recipe into `folder`; returns what was written."""
    source, steps = source_of(editor, recipe), [step.load() for step in recipe.steps]
    if recipe.sweep:
        results = [editor.edit(source, replace(steps[0], strength=value)) for value in recipe.sweep]
    else:
        results = editor.sequence(source, steps)
    stem = f"seed{recipe.seed:04d}" if recipe.latent is None else Path(recipe.latent).stem
    stem = f"{stem}-{slug(results[0].step.prompt)}"
    paths = [folder / f"{stem}-{'sweep' if recipe.sweep else 'step'}{i + 1}.png" for i in range(len(results))]
    for result, path in zip(results, paths, strict=True):
        pictures.save_png(result.image[0], path)
    paths.append(
        pictures.save_png(result_sheet(source.image[0], results, bool(recipe.sweep)), folder / f"{stem}-sheet.png")
    )
    save_latent(source.w, folder / f"{stem}-w.safetensors")
    replace(recipe, results=tuple(describe(result) for result in results)).write(folder / f"{stem}.json")
    return [*paths, folder / f"{stem}.json"], results


def slug(prompt: str) -> str:
    """A prompt as a short file name."""
    return re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40] or "edit"


def save_latent(w: Tensor, path: Path) -> None:
    """w [1,L,512] as safetensors, for `--latent`."""
    tensorfile.write(path, {"w": w[0]}, "latent", {})


def describe(result: Result) -> dict:
    """What a result says in a recipe."""
    certificate = result.edit.certificate[0]
    scores = {"cosine_before": result.before, "cosine_after": result.after, "understood": result.understood}
    return {
        "prompt": result.step.prompt,
        "strength": result.step.strength,
        **scores,
        "certificate": asdict(certificate),
    }


def result_sheet(source: Tensor, results: list[Result], sweep: bool, cell: int = 384):
    """Source | edit | mask | difference, one row per step; a sweep is one row of edits with one mask."""
    if sweep:
        labels = ("source", *(f"strength {result.step.strength:g}" for result in results), "mask")
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
