"""What the edit of a photo leaves on disk: the photo after each step, a sheet, the recipe, and inversions.

Legend: r blend resolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from PIL import Image
from torch import Tensor

from where2edit.editor.recipe_photos import RecipeFace, RecipeFile, RecipePhoto
from where2edit.editor.recipes import MadeWith, Recipe, read_recipe
from where2edit.editor.results import describe, picture_names, stem_of
from where2edit.files import pictures
from where2edit.files.fingerprints import file_sha256
from where2edit.inversion.kept import KeptInversion
from where2edit.photo_editing.edits import FaceEdits, PhotoResult, edit_face, photo_results
from where2edit.photo_editing.sources import PhotoSources
from where2edit.photo_editing.steady import ADVICE, Steady, read_steady
from where2edit.photo_editing.tasks import PhotoTask
from where2edit.photos.alignment import crop
from where2edit.photos.writing import write_photo

CELL = 384  # pixels of one picture of a sheet


@dataclass(frozen=True, eq=False)
class PhotoRun:
    """What became of a recipe."""

    recipe: Recipe  # with its results
    paths: list[Path]  # of the photos, then the sheet and the recipe
    results: list[PhotoResult]
    kept: dict[int, KeptInversion]  # of the faces, by their places


def run_photo(
    sources: PhotoSources, task: PhotoTask, folder: Path, before: Mapping[int, KeptInversion] | None = None
) -> PhotoRun:
    """Make the edits of a photo and write them into `folder`. before: the inversions of the frame before."""
    editor, recipe = sources.editor, task.recipe
    steady = _kept_steady(task.asked)
    steps = task.loaded(editor.resolution, masks=steady is None)
    for step in next(iter(steps.values()), []):
        editor.condition(step)  # what makes no sense is refused before a face is inverted
    kept, edited = dict(before or {}), []
    for number, face in enumerate(face for face in task.faces if face.place in steps):
        kept[face.place] = sources.inversion(task.photo, face, kept.get(face.place))
        own, chosen = steps[face.place], recipe.chosen(number)
        if steady is not None:
            own, chosen = steady.steps(face.place, own, editor.resolution), list(steady.strengths[face.place])
        edited.append(edit_face(editor, face.alignment, sources.source(kept[face.place]), own, chosen, recipe.sweep))
    recipe = _with_made(recipe, task, steps, folder, edited)
    return _written(recipe, task, edited, folder, kept, MadeWith.here(editor.device))


def _kept_steady(asked: RecipePhoto) -> Steady | None:
    """What the first frame chose; None for that frame, and where each chooses for itself. Raises ValueError."""
    if asked.first in (None, asked.path):
        return None
    if asked.steady is None or not asked.steady.there():
        raise ValueError(f"the masks and strengths that {asked.first} chose are gone or have changed; {ADVICE}")
    return read_steady(asked.steady.path)


def _with_made(
    recipe: Recipe, task: PhotoTask, steps: Mapping[int, object], folder: Path, edited: Sequence[FaceEdits]
) -> Recipe:
    """The recipe with the files that were made on the way; the first of steady frames leaves its choice for others."""
    done = [face for face in task.faces if face.place in steps]
    faces = tuple(RecipeFace(face.of.face, recipe_file(face.path), face.place) for face in done)
    steady = task.asked.steady
    if task.asked.first == task.asked.path:
        path = folder / f"{stem_of(recipe)}-steady.safetensors"
        results = {face.place: each.results for face, each in zip(done, edited, strict=True)}
        steady = recipe_file(Steady.of(results).write(path))
    return replace(recipe, photo=replace(task.asked, faces=faces, steady=steady))


def recipe_file(path: Path) -> RecipeFile:
    """A file that was made, as a recipe names it."""
    return RecipeFile(str(path), file_sha256(path))


def _written(
    recipe: Recipe,
    task: PhotoTask,
    edited: Sequence[FaceEdits],
    folder: Path,
    kept: dict[int, KeptInversion],
    made_with: MadeWith,
) -> PhotoRun:
    stem = stem_of(recipe)
    paths = [folder / name for name in picture_names(recipe, stem)]
    looks = [[crop(task.photo, face.alignment, CELL)] for face in edited]
    results, described = [], []
    for path, (photo, result) in zip(paths, photo_results(task.photo, edited, len(paths)), strict=True):
        write_photo(photo, path, task.asked.keep_metadata)
        results.append(result)
        described.append(describe_photo(result, recipe) | {"sha256": file_sha256(path)})
        for look, face in zip(looks, edited, strict=True):
            look.append(crop(photo, face.alignment, CELL))
    if edited and task.asked.frame is None:
        sheet = photo_sheet(looks, edited, recipe)
        paths.append(pictures.save_png(sheet, folder / f"{stem}-sheet.png"))
    recipe = replace(recipe, results=tuple(described), made_with=made_with)
    recipe.write(folder / f"{stem}.json")
    return PhotoRun(recipe, [*paths, folder / f"{stem}.json"], results, kept)


def describe_photo(result: PhotoResult, recipe: Recipe) -> dict:
    """A result as a recipe keeps it, ready for JSON: the photo's certificate, and what was done to each face."""
    assert recipe.photo is not None
    numbers = [face.number for face in recipe.photo.faces]
    faces = [{"face": number} | describe(each) for number, each in zip(numbers, result.faces, strict=True)]
    return {"certificate": asdict(result.certificate), "faces": faces}


def photo_sheet(looks: Sequence[Sequence[Tensor]], edited: Sequence[FaceEdits], recipe: Recipe) -> Image.Image:
    """Each face before and after, its mask and the difference, one row per step; of a sweep all strengths in a row.

    looks: of each face, its crop in the photo before and after each edit [1,3,CELL,CELL].
    """
    assert recipe.photo is not None
    rows, names = [], []
    columns: tuple[str, ...] = ("before", "after", "mask", "difference x4")
    for face, number, crops in zip(edited, recipe.photo.faces, looks, strict=True):
        seen, name = [look[0] for look in crops], f"face {number.number}: " if len(edited) > 1 else ""
        masks = [result.edit.mask for result in face.results]
        if recipe.sweep:
            rows.append([*seen, pictures.overlay_mask(seen[0], masks[-1])])
            names.append(f"{name}{recipe.steps[0].prompt}")
            columns = ("before", *(f"strength {strength:g}" for strength in recipe.sweep), "mask")
            continue
        for step, mask, before, after in zip(recipe.steps, masks, seen, seen[1:], strict=False):
            rows.append([before, after, pictures.overlay_mask(before, mask), pictures.difference(before, after)])
            names.append(f"{name}{step.prompt}")
    return pictures.sheet(rows, names, columns, CELL)


def finished(recipe: Recipe, folder: Path) -> Recipe | None:
    """The recipe of the same edit in `folder`, where all that it made is as it left it; None: it must be made."""
    path = folder / f"{stem_of(recipe)}.json"
    try:
        made = read_recipe(path)
    except ValueError:
        return None
    names = picture_names(made, path.stem)
    if made.asked() != recipe.asked() or made.photo is None or len(made.results) != len(names):
        return None
    digests = [file_sha256(folder / name, absent="") for name in names]
    inputs = [*(face.inversion for face in made.photo.faces), *filter(None, [made.photo.steady])]
    same = digests == [result.get("sha256") for result in made.results] and all(file.there() for file in inputs)
    return made if same else None
