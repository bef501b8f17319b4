"""Whether an edit that was made again is the same, byte for byte, and if not, by how much it differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from where2edit.editor.recipes import MadeWith, Recipe
from where2edit.editor.results import picture_names
from where2edit.files.fingerprints import file_sha256
from where2edit.files.pictures import read_picture


class Replay:
    """The pictures of a recipe as they were, read before anything is written: a replay may replace them."""

    def __init__(self, path: Path, recipe: Recipe):
        self.recipe = recipe
        self.before = [self._picture(path.parent / name) for name in picture_names(recipe, path.stem)]

    @staticmethod
    def _picture(path: Path) -> Image.Image | None:
        """A picture beside the recipe; None where it is gone or damaged."""
        try:
            return read_picture(path)
        except ValueError:
            return None

    def differences(self, made: list[Path], here: MadeWith) -> list[str]:
        """A sentence for each picture that is not the recipe's, byte for byte, and one on what it was made with.

        Recipes of earlier versions do not say what their pictures were.
        """
        found = []
        for result, before, path in zip(self.recipe.results, self.before, made, strict=False):
            recorded = result.get("sha256")
            if isinstance(recorded, str) and recorded != file_sha256(path):
                found.append(f"{path} is not the picture of the recipe: {how_much(before, read_picture(path))}")
        there = self.recipe.made_with
        if found and there is not None and there != here:
            found.append(f"the recipe was made with {there}; this is {here}")
        return found


def how_much(before: Image.Image | None, now: Image.Image) -> str:
    """By how much two pictures differ, in words."""
    if before is None:
        return "by how much cannot be said, since that picture is not beside the recipe"
    if before.size != now.size:
        return f"it has {now.width}x{now.height} pixels in place of {before.width}x{before.height}"
    levels = np.abs(np.asarray(before, dtype=np.int16) - np.asarray(now, dtype=np.int16)).max(2)
    if not levels.any():
        return "its pixels are the same, in other bytes"
    return f"{(levels > 0).mean():.2%} of the pixels differ, by up to {levels.max()} of 255 levels"
