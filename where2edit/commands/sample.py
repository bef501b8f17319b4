"""A sheet of generated faces, one per seed."""

from __future__ import annotations

import torch
from torch import Tensor
from tqdm import tqdm

from where2edit.commands.options import (
    add_config,
    add_device,
    add_dtype,
    add_number,
    add_out,
    add_overrides,
    add_overwrite,
    add_seeds,
    new_parser,
)
from where2edit.commands.outputs import PNG, check_sheet, new_file
from where2edit.commands.profiles import profile_of
from where2edit.commands.seeds import parse_seeds
from where2edit.core.bounds import Cell, Few, Truncation
from where2edit.core.devices import resolve_device
from where2edit.core.memory import require_memory
from where2edit.editor.build import build_generator
from where2edit.files import pictures
from where2edit.generators.base import Generator


def main(help_text: str) -> None:
    """Generate the faces of the seeds and write them as one sheet."""
    parser = new_parser(help_text)
    add_seeds(parser, "0-7", "faces, in reading order")
    words = "1 leaves w as it is, 0 is the mean face (default: the profile's)"
    add_number(parser, "--truncation", Truncation, None, words)
    add_number(parser, "--columns", Few, 4, "faces in one row of the sheet")
    add_number(parser, "--cell", Cell, 384, "pixels of one face in the sheet")
    add_config(parser)
    add_device(parser)
    add_dtype(parser)
    add_out(parser, "out/faces.png", "sheet, .png")
    add_overwrite(parser)
    add_overrides(parser)
    options = parser.parse_args()
    seeds = parse_seeds(options.seeds)
    profile = profile_of(options)
    check_sheet(-(-len(seeds) // options.columns), options.columns, options.cell)
    new_file(options.out, PNG, options.overwrite)
    generator = build_generator(profile, resolve_device(options.device))
    truncation = profile.generator.truncation if options.truncation is None else options.truncation
    faces = sample(generator, seeds, truncation)
    rows = [faces[i : i + options.columns] for i in range(0, len(faces), options.columns)]
    print(pictures.save_png(pictures.sheet(rows, [], [], cell=options.cell), options.out))


@torch.no_grad()
def sample(generator: Generator, seeds: list[int], truncation: float) -> list[Tensor]:
    """The face [3,R,R] of each seed, in [-1,1]."""
    require_memory(len(seeds) * 12 * generator.resolution**2, f"{len(seeds):,} faces")
    faces = []
    for seed in tqdm(seeds, desc="faces"):
        w = generator.w(generator.sample_z([seed]), truncation)
        faces.append(generator.synthesis(generator.styles(w))[0])
    return faces
