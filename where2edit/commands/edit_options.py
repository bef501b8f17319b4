"""The command line of edits: its options, and which of them contradict each other."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

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
from where2edit.commands.photo_options import add_photo
from where2edit.core.bounds import Seed, Share, Strength
from where2edit.editor.natural_strength import AUTO, MOST_STEPS

# Options that say what the edit is, all of which --replay reads from the recipe.
STEERS = ("prompt", "long", "reference", "where", "mask", "threshold", "coverage", "seed", "seeds", "latent")
STEERS += ("strength", "more", "less", "sweep", "force", "dtype", "overrides")
OF_PHOTOS = ("face", "quality", "keep_metadata", "steady")  # options that say nothing without --photo
STEERS += ("photo", *OF_PHOTOS)
USUAL = {"mask_mode": "replace", "config": DEFAULT_CONFIG}  # of those that have a value when they are not given


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
    words = "your own mask, a square picture (with --photo: of the photo's size): white, or what is painted, is edited"
    where.add_argument("--mask", help=words)
    words = "use --mask instead of the attention, or times the attention (default: %(default)s)"
    where.add_argument("--mask-mode", choices=("replace", "multiply"), default="replace", help=words)
    add_number(where, "--threshold", Share, None, "attention below it is not edited (default: the profile's, 0.8)")
    add_number(where, "--coverage", Share, None, "0 to 1, larger edits more: threshold 1 - coverage/4")
    source = parser.add_argument_group("source")
    add_number(source, "--seed", Seed, None, "one face (default: 0)")
    add_seeds(source, None, "several faces in place of --seed")
    source.add_argument("--latent", help="face of a safetensors, .pt, .npy or .npz: w [512], [L,512] or W+ [18,512]")
    add_photo(parser)
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
    if len({"seed", "seeds", "latent", "photo"} & set(given)) > 1:
        raise ValueError("give one of --seed, --seeds and --latent, or --photo")
    if options.photo is None and (lost := [name for name in OF_PHOTOS if name in given]):
        raise ValueError(f"--{lost[0].replace('_', '-')} is for photos; give one with --photo")
    if options.steady and options.sweep:
        raise ValueError("--steady keeps one strength, and --sweep shows several; give one of them")
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
