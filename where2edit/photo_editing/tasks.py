"""A photo that is to be edited: its recipe, its pixels, its faces, and what is asked of each of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from where2edit.editor.descriptions import large_areas_first
from where2edit.editor.recipe_photos import RecipePhoto
from where2edit.editor.recipes import Recipe
from where2edit.editor.steps import Step
from where2edit.photo_editing.faces import FaceToEdit
from where2edit.photo_editing.sources import PhotoSources
from where2edit.photos.mask import mask_in_crop, read_photo_mask
from where2edit.photos.photo import Photo


@dataclass(frozen=True, eq=False)
class PhotoTask:
    """A recipe whose photo has been read and whose faces are known."""

    recipe: Recipe
    asked: RecipePhoto
    photo: Photo
    faces: tuple[FaceToEdit, ...]

    def loaded(self, size: int, masks: bool = True) -> dict[int, list[Step]]:
        """The steps of each face by its place, masks of size x size in its crop; without those that a mask leaves out.

        masks: False leaves masks of the user's out.

        Raises ValueError as `RecipeStep.load` does, and where masks leave out all faces.
        """

        @cache
        def painted(path: str) -> Tensor:
            return read_photo_mask(path, self.photo)

        asked = [step if masks else replace(step, mask=None, mask_mode="replace") for step in self.recipe.steps]
        steps: dict[int, list[Step]] = {}
        for face in self.faces:

            def in_crop(path: str, size: int, face: FaceToEdit = face) -> Tensor:
                return mask_in_crop(painted(path), self.photo, face.alignment, size)

            loaded = [step.load(size, in_crop) for step in asked]
            if any(torch.is_tensor(step.mask) and not step.mask.any() for step in loaded):
                warnings.warn(f"the mask paints nothing of face {face.of.face}, which stays as it is", stacklevel=3)
            else:
                steps[face.place] = loaded
        if self.faces and not steps:
            raise ValueError("the mask paints nothing of the faces to edit; paint white what should change in them")
        return steps


def in_order(sources: PhotoSources, task: PhotoTask) -> PhotoTask:
    """The task with its steps in falling order of the area that each would edit of its first face."""
    place, loaded = next(iter(task.loaded(sources.editor.resolution).items()))
    face = next(face for face in task.faces if face.place == place)
    kept = sources.inversion(task.photo, face)
    steps = large_areas_first(sources.editor, sources.source(kept), task.recipe.steps, loaded)
    faces = tuple(replace(each, kept=kept) if each is face else each for each in task.faces)
    return replace(task, recipe=replace(task.recipe, steps=steps), faces=faces)
