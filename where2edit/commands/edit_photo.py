"""Edits of photos from the command line: one photo, or frames that follow on each other."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from where2edit.commands.edit_sentences import local_photo, photo_sentences
from where2edit.editor.editor import Editor
from where2edit.editor.profile import Profile
from where2edit.editor.recipe_photos import RecipeFile, RecipePhoto
from where2edit.editor.recipes import MadeWith, Recipe, input_digests
from where2edit.editor.replays import Replay
from where2edit.editor.results import check_unclaimed, picture_names, stem_of
from where2edit.files.regular import shown
from where2edit.inversion.kept import KeptInversion, read_kept
from where2edit.photo_editing.faces import FaceSearch
from where2edit.photo_editing.run import PhotoRun, finished, run_photo
from where2edit.photo_editing.sources import PhotoSources
from where2edit.photo_editing.tasks import PhotoTask, in_order
from where2edit.photos.frames import is_pattern, matching
from where2edit.photos.photo import read_photo


def photo_recipes(base: Mapping[str, Any], options: Namespace) -> list[Recipe]:
    """One recipe for each photo of --photo. Raises ValueError where there is none, and for options of another kind."""
    frames = is_pattern(options.photo)
    paths = [str(path) for path in matching(options.photo)] if frames else [options.photo]
    if options.steady and not frames:
        raise ValueError(f"--steady is for frames, and {shown(options.photo)} is one photo; give a folder or a pattern")
    if frames and options.long:
        raise ValueError("--long is put into the order that suits one photo; give --prompt for frames")
    if frames and options.out.resolve() in {Path(path).resolve().parent for path in paths}:
        raise ValueError(
            f"{options.out} holds the frames, and what is written would be one of them; give another --out"
        )
    asked = RecipePhoto(
        paths[0],
        face=options.face,
        quality=options.quality or RecipePhoto.quality,
        keep_metadata=options.keep_metadata,
        first=paths[0] if options.steady else None,
    )
    digests = {path: input_digests({"photo": path})[path] for path in paths}
    recipes = []
    for number, path in enumerate(paths, 1):
        named = {each: digests[each] for each in (path, asked.first) if each is not None}
        photo = replace(asked, path=path, frame=number if frames else None)
        recipes.append(Recipe(**{**base, "inputs": base["inputs"] | named}, photo=photo))
    return recipes


class PhotoEdits:
    """The photos of a command, one after the other.

    The first that is not done yet is read, and its faces are found, before anything is loaded. Raises ValueError for
    one that cannot be read or has no face.
    """

    def __init__(self, recipes: list[Recipe], profile: Profile, options: Namespace):
        self.options, self.search = options, FaceSearch(profile, options.out)
        self.before: dict[int, KeptInversion] | None = None  # of the frame before; None: there was none
        self.steady: RecipeFile | None = None  # what the first frame has chosen for all
        self.local = True  # whether everything so far was, as --assert-local asks
        self.tasks = self._tasks(recipes)
        self.task = next(self.tasks, None)

    def run(self, build: Callable[[], Editor]) -> bool:
        """Edit what is not done and say what was done; False where --assert-local asks for more.

        `build` makes the editor, where there is something to do for it.
        """
        sources = None
        while self.task is not None:
            sources = sources or PhotoSources(build())
            run = self._run(sources, self.task)
            self.local &= all(local_photo(result, self.options.allow_full) for result in run.results)
            self._follow(run.recipe, run.kept)
            self.task = next(self.tasks, None)
        return self.local or not self.options.assert_local

    def _tasks(self, recipes: list[Recipe]) -> Iterator[PhotoTask]:
        """What is to be done, one by one: a frame needs what became of the one before."""
        for recipe in recipes:
            asked = recipe.photo
            assert asked is not None
            again = self.options.replay is not None
            made = None if again or asked.frame is None else finished(recipe, self.options.out)
            if made is not None:
                assert made.photo is not None
                print(f"{asked.path} is done already: {self.options.out / picture_names(made, stem_of(made))[-1]}")
                self.local &= all(result.get("certificate", {}).get("leak") == 0 for result in made.results)
                self._follow(made, {face.place: read_kept(face.inversion.path) for face in made.photo.faces})
                continue
            photo = read_photo(asked.path)
            if not again:
                asked = replace(asked, steady=self.steady)
            faces = () if again and not asked.faces else self.search.faces(photo, asked, self.before)
            yield PhotoTask(recipe, asked, photo, faces)

    def _follow(self, made: Recipe, kept: dict[int, KeptInversion]) -> None:
        """Remember what the next frame begins with."""
        assert made.photo is not None
        self.before, self.steady = (self.before or {}) | kept, made.photo.steady

    def _run(self, sources: PhotoSources, task: PhotoTask) -> PhotoRun:
        """Edit one photo and say what was done."""
        options = self.options
        if options.long:
            task = in_order(sources, task)
            if not options.overwrite:
                check_unclaimed(task.recipe, options.out)
        replay = None if options.replay is None else Replay(options.replay, task.recipe)
        run = run_photo(sources, task, options.out, self.before)
        assert run.recipe.photo is not None
        for result in run.results:
            print("\n".join(photo_sentences(result, run.recipe.photo)))
        print("\n".join(f"  {path}" for path in run.paths[len(run.results) - 1 :]))
        for said in replay.differences(run.paths, MadeWith.here(sources.editor.device)) if replay else ():
            print(f"warning: {said}", file=sys.stderr)
        return run
