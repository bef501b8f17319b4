"""Edits of generated faces and of photos from the command line."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import replace

import torch

from where2edit.commands.edit_options import build_parser, check, threshold
from where2edit.commands.edit_photo import PhotoEdits, photo_recipes
from where2edit.commands.edit_sentences import local, sentence
from where2edit.commands.outputs import writable
from where2edit.commands.profiles import profile_of
from where2edit.commands.seeds import parse_seeds
from where2edit.core import config as configs
from where2edit.editor.build import needs_weights
from where2edit.editor.denials import check_length
from where2edit.editor.descriptions import large_areas_first, split_denials, split_description
from where2edit.editor.editor import Editor
from where2edit.editor.latents import read_as
from where2edit.editor.profile import Profile
from where2edit.editor.recipes import SWEEP, MadeWith, Recipe, RecipeStep, input_digests, read_recipe
from where2edit.editor.replays import Replay
from where2edit.editor.results import check_unclaimed, run_recipe, source_of
from where2edit.editor.session import Result
from where2edit.editor.weights import editor_sha256


def main(help_text: str) -> int:
    """Make the edits, print what was done, and return the exit code: 1 if --assert-local found a leak or full mask."""
    options = build_parser(help_text).parse_args()
    check(options)
    if options.replay is not None:
        recipes = [read_recipe(options.replay)]
        profile = configs.build(Profile, recipes[0].config)
        check_inputs(recipes[0], profile, options.weights)
        if recipes[0].made_with is not None:
            torch.set_num_threads(recipes[0].made_with.usable_threads)
    else:
        profile = profile_of(options)
        recipes = requested(options, profile)
    writable(options.out)
    photos = None if recipes[0].photo is None else PhotoEdits(recipes, profile, options)
    if not (options.overwrite or options.long):  # the order of a long description is not known yet
        for recipe in recipes:
            check_unclaimed(recipe, options.out)
    if needs_weights(profile) and not (options.weights or profile.method.weights):
        print("warning: no trained editor (--weights): these are the edits of an untrained one", file=sys.stderr)
    if photos is not None:
        return int(not photos.run(lambda: Editor(profile, options.device, options.weights)))
    editor = Editor(profile, options.device, options.weights)
    if recipes[0].latent is not None and (note := read_as(editor.frozen.generator, recipes[0].latent)):
        print(note)
    results = [result for recipe in recipes for result in make(editor, recipe, options)]
    return int(options.assert_local and not all(local(result, options.allow_full) for result in results))


def make(editor: Editor, recipe: Recipe, options: Namespace) -> list[Result]:
    """Make the edits of one recipe and say what they did."""
    replay = None if options.replay is None else Replay(options.replay, recipe)
    if options.long:
        loaded = [step.load(editor.resolution) for step in recipe.steps]
        recipe = replace(recipe, steps=large_areas_first(editor, source_of(editor, recipe), recipe.steps, loaded))
        if not options.overwrite:
            check_unclaimed(recipe, options.out)
    paths, results = run_recipe(editor, recipe, options.out)
    written = [f"  {path}" for path in paths[len(results) :]]  # sheets and recipe
    print("\n".join([*(sentence(result) for result in results), *written]))
    for said in replay.differences(paths, MadeWith.here(editor.device)) if replay else ():
        print(f"warning: {said}", file=sys.stderr)
    return results


def requested(options: Namespace, profile: Profile) -> list[Recipe]:
    """One recipe per source. Raises ValueError when nothing is asked for."""
    prompts = split_description(options.long) if options.long else split_denials(options.prompt)
    if options.reference and not prompts:
        prompts = [options.where] if options.where else []
    if not prompts:
        raise ValueError('say what should change, for example --prompt "blond hair"')
    for text in (*prompts, *filter(None, [options.where])):
        check_length(text)
    if options.sweep and len(prompts) > 1:
        raise ValueError(f"--sweep shows the strengths of one prompt, got {len(prompts)}")
    base = {
        "config": configs.as_dict(profile),
        "weights_sha256": editor_sha256(profile, options.weights),
        "steps": recipe_steps(prompts, options),
        "inputs": input_digests(
            {"reference picture": options.reference, "mask": options.mask, "latent": options.latent}
        ),
        "sweep": SWEEP if options.sweep else (),
        "overrides": tuple(options.overrides),
    }
    if options.photo:
        return photo_recipes(base, options)
    if options.latent:
        return [Recipe(**base, latent=options.latent)]
    seeds = parse_seeds(options.seeds if options.seeds is not None else str(options.seed or 0))
    return [Recipe(**base, seed=seed) for seed in dict.fromkeys(seeds)]


def recipe_steps(prompts: list[str], options: Namespace) -> tuple[RecipeStep, ...]:
    """One step for each prompt; everything else is the same for all."""
    same = RecipeStep(
        "",
        where=options.where,
        strength=options.strength,
        threshold=threshold(options),
        reference=options.reference,
        mask=options.mask,
        mask_mode=options.mask_mode,
        more=(options.more or 0) - (options.less or 0),
        force=options.force,
    )
    return tuple(replace(same, prompt=prompt) for prompt in prompts)


def check_inputs(recipe: Recipe, profile: Profile, weights: str | None) -> None:
    """Refuse to replay with another editor, or with other pictures and latents, than those that made the recipe."""
    here = editor_sha256(profile, weights)
    if here != recipe.weights_sha256:
        raise ValueError(
            f"the recipe was made with editor weights {recipe.weights_sha256[:12] or 'none'}, "
            f"here are {here[:12] or 'none'}; give the right file with --weights"
        )
    found = [input_digests({"input of the recipe": path})[path] for path in recipe.inputs]
    changed = [path for path, digest in zip(recipe.inputs, found, strict=True) if digest != recipe.inputs[path]]
    if changed:
        raise ValueError(f"{changed[0]} has changed since the recipe was made; put the old file back")
