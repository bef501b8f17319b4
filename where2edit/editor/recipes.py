"""Recipes: the JSON beside an edit from which the same bytes can be made again."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import torch
from torch import Tensor

from where2edit.core import config
from where2edit.core.bounds import Bounds, Few, Seed, Share, Strength
from where2edit.editor.migration import current_config
from where2edit.editor.natural_strength import MOST_STEPS
from where2edit.editor.recipe_photos import RecipePhoto
from where2edit.editor.steps import Step
from where2edit.files.atomic import write_text
from where2edit.files.fingerprints import file_sha256
from where2edit.files.json_files import read_json
from where2edit.files.mask_reading import read_mask
from where2edit.files.picture_reading import MOST_BYTES, read_picture
from where2edit.files.regular import regular_file

SWEEP = (-0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2)  # strengths side by side, from reversed to strong
MOST_THREADS = 64  # of a replay, where the machine does not have more itself


@dataclass(frozen=True)
class RecipeStep:
    """A Step (editor/editor.py) as a recipe keeps it: the reference picture and the mask are paths of files."""

    prompt: str
    where: str | None = None
    strength: Strength | Literal["auto"] | None = None
    threshold: Share | None = None
    reference: str | None = None
    mask: str | None = None
    mask_mode: Literal["replace", "multiply"] = "replace"
    more: Annotated[int, Bounds(-MOST_STEPS, MOST_STEPS)] = 0
    force: bool = False

    def load(self, size: int, read: Callable[[str, int], Tensor] = read_mask) -> Step:
        """The Step for images of size x size with its pictures read; `read` gives a mask [1,1,size,size] by its path.

        Raises ValueError, which names the file, for one that is missing, no picture, or no mask for such images.
        """
        reference = None if self.reference is None else read_picture(self.reference, "reference picture")
        mask = None if self.mask is None else read(self.mask, size)
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Step(**fields | {"reference": reference, "mask": mask})


@dataclass(frozen=True)
class MadeWith:
    """What the bytes of a picture depend on besides its recipe."""

    torch: str  # version
    threads: Few
    device: str

    @classmethod
    def here(cls, device: object) -> MadeWith:
        """What they depend on in this process, on a torch device."""
        return cls(str(torch.__version__), torch.get_num_threads(), str(device))

    @property
    def usable_threads(self) -> int:
        """The threads for a replay: no recipe can ask for more than a large machine has."""
        return min(self.threads, max(MOST_THREADS, os.cpu_count() or 1))

    def __str__(self) -> str:
        return f"torch {self.torch}, {self.threads} threads, {self.device}"


@dataclass(frozen=True)
class Recipe:
    """Everything that is needed to make an edit again: the steps, and the source as a seed, a latent or a photo.

    Paths are kept relative to the recipe's own folder; here they are as the working folder sees them.
    """

    config: dict  # the resolved profile
    weights_sha256: str  # of the editor's file; "" for an untrained one
    steps: tuple[RecipeStep, ...]
    seed: Seed | None = None
    latent: str | None = None  # path of a latent (editor/latents.py)
    photo: RecipePhoto | None = None
    sweep: tuple[Strength, ...] = ()  # strengths of the only step, side by side
    inputs: dict[str, str] = field(default_factory=dict)  # sha256 of the pictures and latents that the steps name
    overrides: tuple[str, ...] = ()  # changes of the profile on the command line; `config` has them already
    made_with: MadeWith | None = None  # None: before an edit, and for recipes of earlier versions
    # What each step did (results.describe), for the reader; a replay takes only the strengths that were chosen from it,
    # and compares its pictures with the sha256 of the first ones.
    results: tuple[dict, ...] = ()

    def __post_init__(self):
        if not self.steps or (self.seed, self.latent, self.photo).count(None) != 2:
            raise ValueError("a recipe has one step or more, and either a seed or a latent, or a photo")
        if self.sweep and len(self.steps) > 1:
            raise ValueError(f"a sweep shows the strengths of one step, and the recipe has {len(self.steps)}")
        if unknown := self.paths() - self.inputs.keys():
            raise ValueError(f"its inputs lack the sha256 of {sorted(unknown)[0]}")

    def paths(self) -> set[str]:
        """The files that the recipe names."""
        photo = [] if self.photo is None else [self.photo.path, self.photo.first]
        named = [self.latent, *photo, *(path for step in self.steps for path in (step.reference, step.mask))]
        return {path for path in named if path is not None}

    def with_paths(self, change: Callable[[str], str]) -> Recipe:
        """The recipe with every path changed."""

        def changed(path: str | None) -> str | None:
            return None if path is None else change(path)

        steps = (replace(s, reference=changed(s.reference), mask=changed(s.mask)) for s in self.steps)
        inputs = {change(path): digest for path, digest in self.inputs.items()}
        photo = None if self.photo is None else self.photo.with_paths(change)
        return replace(self, steps=tuple(steps), latent=changed(self.latent), photo=photo, inputs=inputs)

    def asked(self) -> Recipe:
        """What was asked for alone, with the content of files in place of their paths: equal for equal edits."""
        asked = self.with_paths(lambda path: self.inputs.get(path, path))
        photo = None if asked.photo is None else replace(asked.photo, faces=(), steady=None)
        return replace(asked, photo=photo, made_with=None, results=())

    def chosen(self, face: int | None = None) -> list[float] | None:
        """The strengths of the results, one for each step; None before an edit, and for recipes of earlier versions.

        face: the place, from 0 on, of a face among those of a photo that were edited.
        """
        found = (_of_face(result, face).get("strength") for result in self.results)
        numbers = [float(value) for value in found if isinstance(value, float | int) and abs(value) <= 1]
        return numbers if len(numbers) == len(self.results) == len(self.steps) else None

    def write(self, path: Path) -> None:
        """Write as JSON, whole or not at all, with paths relative to its folder."""
        kept = self.with_paths(lambda each: os.path.relpath(each, path.parent))
        write_text(path, json.dumps(asdict(kept), indent=2) + "\n")


def _of_face(result: dict, face: int | None) -> dict:
    """What a result says of a face; {} where it says nothing."""
    if face is None:
        return result
    faces = result.get("faces")
    found = faces[face] if isinstance(faces, list) and face < len(faces) else None
    return found if isinstance(found, dict) else {}


def read_recipe(path: str | Path) -> Recipe:
    """A recipe from its JSON; config keys of earlier versions are renamed. Raises ValueError for another file.

    Paths are relative to the recipe; those of earlier versions, where there is no such file, to the working folder.
    """
    tree = read_json(path, "recipe")
    try:
        recipe = config.build(Recipe, tree, "recipe")
    except ValueError as error:
        raise ValueError(f"{path} is not an edit recipe ({error}); give a .json that scripts/edit.py wrote") from None

    def beside(name: str) -> str:
        there = os.path.normpath(Path(path).parent / name)
        return there if os.path.lexists(there) else name

    return replace(recipe.with_paths(beside), config=current_config(recipe.config))


def input_digests(paths: dict[str, str | None]) -> dict[str, str]:
    """sha256 of each file by its path; `paths`: what it is for -> its path, None is left out.

    Raises ValueError for what is no regular file or cannot be read.
    """
    given = {what: path for what, path in paths.items() if path is not None}
    try:
        return {path: file_sha256(regular_file(path, what, MOST_BYTES)) for what, path in given.items()}
    except OSError as error:
        raise ValueError(f"cannot read {error.filename}: {error.strerror}") from None
