"""The evaluation of a profile from the command line."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

from where2edit.commands.options import (
    add_config,
    add_device,
    add_dtype,
    add_number,
    add_overrides,
    add_overwrite,
    add_weights,
    checked,
    named_path,
    new_parser,
)
from where2edit.commands.outputs import writable
from where2edit.commands.profiles import profile_of
from where2edit.commands.row_training import train_missing
from where2edit.core.bounds import Count, CountOrNone, Few, Seed
from where2edit.evaluation import protocols
from where2edit.evaluation.evaluate import evaluate_profile
from where2edit.evaluation.heldout import heldout_config
from where2edit.evaluation.options import EvaluationOptions
from where2edit.inversion.inverter import Quality


def main(help_text: str) -> None:
    """Run the tables that were asked for and print where the report lies."""
    given = build_parser(help_text).parse_args()
    chosen = protocols.only_rows(protocols.select(given.table), given.row)
    profile = profile_of(given)
    if given.weights:
        profile = replace(profile, method=replace(profile.method, weights=given.weights))
    folder = writable(given.out or Path("results") / profile.name)
    options = EvaluationOptions(**{field.name: getattr(given, field.name) for field in fields(EvaluationOptions)})
    train_missing(profile, chosen, folder, given.device, given.processes)
    pages = evaluate_profile(profile, chosen, folder, given.device, options)
    if pages:
        print("\n".join(map(str, pages)))


def add_networks(parser: ArgumentParser) -> None:
    """Networks that only some metrics read."""
    words = "text-image encoder that no training saw: NAME[:MODEL][:WEIGHTS or FILE]"
    parser.add_argument("--heldout", type=checked(heldout_config), help=words)
    parser.add_argument(
        "--inception-logits", type=named_path, help="torch-fidelity's Inception file, for inception_score"
    )


def add_photos(parser: ArgumentParser) -> None:
    """What only the table photos reads."""
    words = "photo, or folder of them, for the table photos; may be repeated (default: scikit-image's astronaut)"
    parser.add_argument("--photos", type=named_path, action="append", help=words)
    words = "how long inversions of photos are refined (default: the protocol's)"
    parser.add_argument("--quality", choices=get_args(Quality), help=words)


def build_parser(help_text: str) -> ArgumentParser:
    """The parser of scripts/evaluate.py."""
    parser = new_parser(help_text)
    known = ", ".join(protocols.names())
    tables = f"1 to 4, all (every table but editor, methods and photos), or one of: {known}; may be repeated"
    parser.add_argument("--table", action="append", required=True, help=tables)
    parser.add_argument("--row", action="append", default=[], help="only this row of the tables; may be repeated")
    add_number(
        parser,
        "--n",
        Count,
        None,
        "samples of every row, sources of a crossed table, or photos (default: the protocol's, all photos)",
    )
    parser.add_argument(
        "--paper", action="store_true", help="the paper's number of samples, and every prompt on each source"
    )
    add_networks(parser)
    words = (
        "unedited faces among which kid_vs_natural and overshoot look for natural examples; kept for every later run"
    )
    words += ", 0 leaves those metrics out"
    add_number(parser, "--natural-faces", CountOrNone, EvaluationOptions.natural_faces, words)
    parser.add_argument("--real", type=named_path, help="folder of real photos, for fid_vs_real")
    add_photos(parser)
    add_number(parser, "--batch", Few, EvaluationOptions.batch, "sources edited together")
    add_number(
        parser, "--processes", Few, None, "processes on a CPU (default: one for each core that has 5 GB of memory)"
    )
    add_number(parser, "--seed", Seed, EvaluationOptions.seed, "seed of the first source")
    add_config(parser)
    add_weights(parser)
    add_device(parser)
    add_dtype(parser)
    parser.add_argument(
        "--out", type=named_path, help="folder of the report (default: results/ and the profile's name)"
    )
    add_overwrite(parser)
    add_overrides(parser)
    return parser
