"""Edits of generated faces from the command line."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace

import torch

from where2edit.commands.options import (
    DEFAULT_CONFIG,
    add_config,
    add_device,
    add_dtype,
    add_force,
    add_number,
    add_out,
    add_overrides,
    add_overwrite,
    add_seeds,
    add_weights,
    filled,
    named_path,
    new_parser,
    number,
)
from where2edit.commands.outputs import writable
from where2edit.commands.profiles import profile_of
from where2edit.commands.seeds import parse_seeds
from where2edit.core import config as configs
from where2edit.core.bounds import Seed, Share, Strength
from where2edit.core.sentences import figure
from where2edit.editor.denials import check_length
from where2edit.editor.descriptions import large_areas_first, split_denials, split_description
from where2edit.editor.editor import Editor
from where2edit.editor.latents import read_as
from where2edit.editor.natural_strength import AUTO, MOST_STEPS
from where2edit.editor.profile import Profile
from where2edit.editor.recipes import SWEEP, MadeWith, Recipe, RecipeStep, input_digests, read_recipe
from where2edit.editor.replays import Replay
from where2edit.editor.results import check_unclaimed, run_recipe, source_of
from where2edit.editor.session import Result
from where2edit.editor.steps import Step
from where2edit.editor.weights import editor_sha256

# Options that say what the edit is, all of which --replay reads from the recipe.
STEERS = ("prompt", "long", "reference", "where", "mask", "threshold", "coverage", "seed", "seeds", "latent")
STEERS += ("strength", "more", "less", "sweep", "force", "dtype", "overrides")
USUAL = {"mask_mode": "replace", "config": DEFAULT_CONFIG}  # of those that have a value when they are not given


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
    if not (options.overwrite or options.long):  # the order of a long description is not known yet
        for recipe in recipes:
            check_unclaimed(recipe, options.out)
    if not (options.weights or profile.method.weights):
        print("warning: no trained editor (--weights): these are the edits of an untrained one", file=sys.stderr)
    editor = Editor(profile, options.device, options.weights)
    if recipes[0].latent is not None and (note := read_as(editor.frozen.generator, recipes[0].latent)):
        print(note)
    results = [result for recipe in recipes for result in make(editor, recipe, options)]
    return int(options.assert_local and not all(local(result, options.allow_full) for result in results))


def make(editor: Editor, recipe: Recipe, options: Namespace) -> list[Result]:
    """Make the edits of one recipe and say what they did."""
    replay = None if options.replay is None else Replay(options.replay, recipe)
    if options.long:
        recipe = replace(recipe, steps=large_areas_first(editor, source_of(editor, recipe), recipe.steps))
        if not options.overwrite:
            check_unclaimed(recipe, options.out)
    paths, results = run_recipe(editor, recipe, options.out)
    print("\n".join([*(sentence(result) for result in results), f"  {paths[-2]}", f"  {paths[-1]}"]))
    for said in replay.differences(paths, MadeWith.here(editor.device)) if replay else ():
        print(f"warning: {said}", file=sys.stderr)
    return results


def local(result: Result, allow_full: bool) -> bool:
    """Whether nothing leaked and, unless `allow_full`, the mask left something outside."""
    certificate = result.edit.certificate[0]
    return certificate.local and (allow_full or not certificate.whole)


def build_parser(help_text: str) -> ArgumentParser:
    """The parser of scripts/edit.py."""
    parser = new_parser(help_text)
    what = parser.add_argument_group("what")
    what.add_argument("--prompt", action="append", default=[], help="what should change; several are applied in a row")
    what.add_argument(
        "--long", type=filled, help="a long description: split into attributes, applied one by one, large areas first"
    )
    words = "picture whose largest face drives the change by its look; --prompt or --where says where"
    what.add_argument("--reference", help=words)
    what.add_argument(
        "--replay", type=named_path, help="make the edit of a recipe again; everything else is read from it"
    )
    where = parser.add_argument_group("where")
    where.add_argument("--where", help="prompt that chooses the region (two-prompt editing)")
    where.add_argument("--mask", help="your own mask, a square picture: white, or what is painted, is edited")
    words = "use --mask instead of the attention, or times the attention (default: %(default)s)"
    where.add_argument("--mask-mode", choices=("replace", "multiply"), default="replace", help=words)
    add_number(where, "--threshold", Share, None, "attention below it is not edited (default: the profile's, 0.8)")
    add_number(where, "--coverage", Share, None, "0 to 1, larger edits more: threshold 1 - coverage/4")
    source = parser.add_argument_group("source")
    add_number(source, "--seed", Seed, None, "one face (default: 0)")
    add_seeds(source, None, "several faces in place of --seed")
    source.add_argument("--latent", help="face of a safetensors, .pt, .npy or .npz: w [512], [L,512] or W+ [18,512]")
    add_how(parser)
    add_overrides(parser)
    return parser


def add_how(parser: ArgumentParser) -> None:
    """The group of options that say how strongly, with what and whereto."""
    how = parser.add_argument_group("how")
    words = (
        "auto (natural strength), or the paper's alpha, -1 to 1; negative reverses the edit (default: auto where the"
        " profile has a calibration, else its method.strength)"
    )
    how.add_argument("--strength", type=strength, help=words)
    words = "natural strength times 1.5; may be given several times"
    how.add_argument("--more", action="count", help=words)
    how.add_argument("--less", action="count", help=words.replace("times 1.5", "divided by 1.5"))
    how.add_argument("--sweep", action="store_true", help="one prompt at each strength from -0.1 to 0.2, side by side")
    add_force(how)
    words = "exit 1 if any pixel outside mask + halo changed, or if the mask covers more than 95 %%"
    how.add_argument("--assert-local", action="store_true", help=words)
    how.add_argument("--allow-full", action="store_true", help="with --assert-local: the mask may cover everything")
    add_config(how)
    add_weights(how)
    add_device(how)
    add_dtype(how)
    add_out(how, "out/edit", "folder of pictures, sheet and recipe")
    add_overwrite(how)


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
    steps = tuple(
        RecipeStep(
            prompt,
            where=options.where,
            strength=options.strength,
            threshold=threshold(options),
            reference=options.reference,
            mask=options.mask,
            mask_mode=options.mask_mode,
            more=(options.more or 0) - (options.less or 0),
            force=options.force,
        )
        for prompt in prompts
    )
    seeds = dict.fromkeys(parse_seeds(options.seeds if options.seeds is not None else str(options.seed or 0)))
    base = {
        "config": configs.as_dict(profile),
        "weights_sha256": editor_sha256(profile, options.weights),
        "steps": steps,
        "inputs": input_digests(
            {"reference picture": options.reference, "mask": options.mask, "latent": options.latent}
        ),
        "sweep": SWEEP if options.sweep else (),
        "overrides": tuple(options.overrides),
    }
    return [Recipe(**base, latent=options.latent)] if options.latent else [Recipe(**base, seed=seed) for seed in seeds]


def check(options: Namespace) -> None:
    """Raises ValueError for options that contradict each other, or of which one would have no effect."""
    values = {name: getattr(options, name) for name in STEERS}
    # 0 and "" are given too: what is left out is None, an empty list or an unset flag.
    given = [name for name, value in values.items() if not (value is None or value is False or value == [])]
    if options.replay is not None:
        given += [name for name, usual in USUAL.items() if getattr(options, name) != usual]
        if given:
            raise ValueError(f"--replay reads everything from the recipe; leave out {', '.join(given)}")
    if options.long and options.prompt:
        raise ValueError("--long and --prompt exclude each other; put everything into one of them")
    if len({"seed", "seeds", "latent"} & set(given)) > 1:
        raise ValueError("give one of --seed, --seeds and --latent")
    check_steps(options, {"more", "less"} & set(given))
    if options.allow_full and not options.assert_local:
        raise ValueError("--allow-full is for --assert-local, which fails for masks of everything; give both")
    if options.mask is None and options.mask_mode == "multiply":
        raise ValueError("--mask-mode multiply multiplies the attention with a mask; give one with --mask")
    if options.mask is not None and options.mask_mode == "replace" and {"where", "threshold", "coverage"} & set(given):
        raise ValueError("--mask alone says where to edit; leave out --where, --threshold and --coverage, or multiply")


def check_steps(options: Namespace, stepped: set[str]) -> None:
    """Raises ValueError where the steps from the natural strength, "more" or "less", contradict another option."""
    if options.sweep and (options.strength is not None or stepped):
        raise ValueError("--sweep goes through strengths of its own; leave out --strength, --more and --less")
    if len(stepped) == 2:
        raise ValueError("--more and --less exclude each other; give one of them")
    if stepped and options.strength not in (None, AUTO):
        raise ValueError(
            f"--{stepped.pop()} is a step from the natural strength; leave out --strength {options.strength}"
        )
    if stepped and (count := getattr(options, name := stepped.pop())) > MOST_STEPS:
        raise ValueError(f"--{name} is given {count} times; allowed: up to {MOST_STEPS}")


def strength(text: str) -> float | str:
    """What --strength says: "auto" or a number from -1 to 1. Raises ArgumentTypeError for anything else."""
    return AUTO if text == AUTO else number(Strength, f" or {AUTO}")(text)


def threshold(options: Namespace) -> float | None:
    """The threshold of the mask: --threshold, or 1 - c/4 for --coverage c, as in the released demo; None: neither.

    Raises ValueError for both together.
    """
    if options.coverage is None:
        return options.threshold
    if options.threshold is not None:
        raise ValueError("--coverage and --threshold say the same thing; give one of them")
    return 1 - options.coverage / 4


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


def sentence(result: Result) -> str:
    """What a result did, in one line for people."""
    certificate = result.edit.certificate[0]
    cosines = f"cosine {figure(result.before, '.3f')} -> {figure(result.after, '.3f')}"
    text = (
        f"{result.said}: {cosines} at strength {result.strength:.3g}, mask "
        f"{certificate.mask_area:.1%}, {certificate.changed:.1%} of the pixels changed, leak {certificate.leak_max:g}"
    )
    if certificate.mask_area == 0:
        return f"{text}; nothing was edited: {nothing_edited(result.step)}"
    if certificate.whole:
        text += f"; {certificate.allowed_area:.1%} of the pixels may change, so that the certificate proves little"
    if result.strength == 0:
        denied = f"the face does not show {result.said.attribute}: nothing was edited"
        return f"{text}; {denied if result.said.denied else 'strength 0 leaves everything as it is'}"
    return text if result.understood else f"{text}; the encoder sees no gain: it may not understand these words"


def nothing_edited(step: Step) -> str:
    """Why the mask of an edit is empty, and what to do."""
    if step.mask is None:
        return "the attention found no region for these words, try --where or --coverage 1"
    if step.mask_mode == "multiply":
        return "the attention found no region for these words inside of the mask, try --coverage 1"
    return "the mask is black everywhere, paint white what should change"
