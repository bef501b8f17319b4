"""Recipes: the JSON beside an edit from which the same bytes can be made again."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from where2edit.core import config
from where2edit.editor.editor import Step
from where2edit.editor.migration import current_config
from where2edit.files.atomic import write_text
from where2edit.files.fingerprints import file_sha256
from where2edit.files.mask_reading import read_mask
from where2edit.files.picture_reading import MOST_BYTES, read_picture
from where2edit.files.regular import regular_file

SWEEP = (-0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2)  # strengths side by side, from reversed to strong


@dataclass(frozen=True)
class RecipeStep:
    """A Step (editor/editor.py) as a recipe keeps it: the reference picture and the mask are paths of files."""

    prompt: str
    where: str | None = None
    strength: float | Literal["auto"] | None = None
    threshold: float | None = None
    reference: str | None = None
    mask: str | None = None
    mask_mode: Literal["replace", "multiply"] = "replace"
    more: int = 0
    force: bool = False

    def load(self, size: int) -> Step:
        """The Step for images of size x size with its pictures read.

        Raises ValueError, which names the file, for one that is missing, no picture, or no mask for such images.
        """
        reference = None if self.reference is None else read_picture(self.reference, "reference picture")
        mask = None if self.mask is None else read_mask(self.mask, size)
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Step(**fields | {"reference": reference, "mask": mask})


@dataclass(frozen=True)
class Recipe:
    """Everything that is needed to make an edit again: the steps, and the source as a seed or a latent."""

    config: dict  # the resolved profile
    weights_sha256: str  # of the editor's file; "" for an untrained one
    steps: tuple[RecipeStep, ...]
    seed: int | None = None
    latent: str | None = None  # path of a latent (editor/latents.py)
    sweep: tuple[float, ...] = ()  # strengths of the only step, side by side
    inputs: dict[str, str] = field(default_factory=dict)  # sha256 of the pictures and latents that the steps name
    # What each step did (results.describe), for the reader; a replay takes only the strengths that were chosen from it.
    results: tuple[dict, ...] = ()

    def __post_init__(self):
        if not self.steps or (self.seed is None) == (self.latent is None):
            raise ValueError("a recipe has one step or more, and either a seed or a latent")

    def chosen(self) -> list[float] | None:
        """The strengths of the results, one for each step; None before an edit, and for recipes of earlier versions."""
        found = (result.get("strength") for result in self.results)
        numbers = [float(value) for value in found if isinstance(value, float | int) and abs(value) <= 1]
        return numbers if len(numbers) == len(self.results) == len(self.steps) else None

    def write(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        write_text(path, json.dumps(asdict(self), indent=2) + "\n")


def read_recipe(path: str | Path) -> Recipe:
    """A recipe from its JSON; config keys of earlier versions are renamed. Raises ValueError for another file."""
    try:
        tree = json.loads(Path(path).read_text(encoding="utf-8"))
        recipe = config.build(Recipe, tree, "recipe")
    except OSError as error:
        raise ValueError(f"cannot read the recipe {path}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} is not an edit recipe ({error}); give a .json that scripts/edit.py wrote") from None
    return replace(recipe, config=current_config(recipe.config))


def input_digests(paths: dict[str, str | None]) -> dict[str, str]:
    """sha256 of each file by its path; `paths`: what it is for -> its path, None is left out.

    Raises ValueError for what is no regular file or cannot be read.
    """
    given = {what: path for what, path in paths.items() if path is not None}
    try:
        return {path: file_sha256(regular_file(path, what, MOST_BYTES)) for what, path in given.items()}
    except OSError as error:
        raise ValueError(f"cannot read {error.filename}: {error.strerror}") from None
