"""Measures and writes the section of docs/benchmarks.md on whole edits."""

from __future__ import annotations

import json
import resource
from dataclasses import asdict
from pathlib import Path

import torch

from where2edit.commands.benchmarks.edits import GRID, shipped_editor_times, stylegan2_times
from where2edit.commands.benchmarks.machine import described
from where2edit.commands.benchmarks.sections import table, write_section
from where2edit.commands.options import add_device, add_number, add_out, new_parser
from where2edit.commands.outputs import MARKDOWN, new_file
from where2edit.core.bounds import Few, Pixels
from where2edit.core.devices import resolve_device
from where2edit.files.atomic import write_text

HEADING = "## Whole edits"
COLUMNS = "what | edited | ms, median (range) | of a whole tail | times faster than naive"


def main(help_text: str) -> None:
    """Measure, print the section and put it into the file; a JSON line for each table stands beside it."""
    parser = new_parser(help_text)
    add_device(parser)
    add_number(parser, "--rounds", Few, 5, "rounds of all measurements")
    add_number(parser, "--resolution", Pixels, 1024, "pixels of StyleGAN2, 128 to 1024")
    add_out(parser, "docs/benchmarks.md", "Markdown file with the section; its other sections stay")
    options = parser.parse_args()
    if options.resolution < 2 * GRID:
        raise ValueError(f"--resolution is {options.resolution}; edits are blended at {GRID} px, so give 128 or more")
    new_file(options.out, MARKDOWN, overwrite=True)
    device = torch.device(resolve_device(options.device))
    text = report(device, options.rounds, options.resolution, options.out.with_suffix(".jsonl"))
    print(text)
    write_section(options.out, HEADING, text)
    print(f"\nwritten to {options.out}")


def report(device: torch.device, rounds: int, resolution: int, lines: Path) -> str:
    """The section as Markdown, every figure measured now; JSON lines go to `lines`."""
    found = {
        "`configs/mobile.yaml`, 1024 px, the shipped editor": shipped_editor_times(device, rounds),
        f"StyleGAN2 at {resolution} px, random weights": stylegan2_times(device, rounds, resolution),
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    write_text(lines, "".join(json.dumps({"what": name, **asdict(times)}) + "\n" for name, times in found.items()))
    words = f"{described(device)}; {rounds} rounds of everything, one after the other, after one that is not counted."
    tables = [part for name, times in found.items() for part in (f"### {name}", table(COLUMNS, times.rows()))]
    return "\n\n".join([HEADING, words, *tables, f"Peak memory of the process {peak:.1f} GiB."])
