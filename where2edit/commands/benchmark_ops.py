"""Measures and writes the section of docs/benchmarks.md on operations and StyleGAN2 syntheses.

One run measures everything, so that every ratio compares two things on one machine. It works on a CPU too, where the
rows of the kernels are left out.
"""

from __future__ import annotations

import torch

from where2edit.commands.benchmarks.leaks import BLEND_SITE, MASKS, leak_rows
from where2edit.commands.benchmarks.machine import described
from where2edit.commands.benchmarks.operations import operation_rows, region_row
from where2edit.commands.benchmarks.sections import table, write_section
from where2edit.commands.benchmarks.syntheses import synthesis_rows
from where2edit.commands.options import add_device, add_number, add_out, new_parser
from where2edit.commands.outputs import MARKDOWN, new_file
from where2edit.core.bounds import Pixels
from where2edit.core.devices import resolve_device
from where2edit.generators.stylegan2 import create

HEADING = "## Operations and StyleGAN2 synthesis"
LEAK_RESOLUTION = 256  # pixels of the generator of the leak, which does not depend on its size


def main(help_text: str) -> None:
    """Measure, print the section and put it into the file."""
    parser = new_parser(help_text)
    add_device(parser)
    words = "pixels of the generator, 128 to 1024"
    add_number(parser, "--resolution", Pixels, 1024, words)
    add_out(parser, "docs/benchmarks.md", "Markdown file with the section; its other sections stay")
    options = parser.parse_args()
    new_file(options.out, MARKDOWN, overwrite=True)
    text = report(options.device, options.resolution)
    print(text)
    write_section(options.out, HEADING, text)
    print(f"\nwritten to {options.out}")


def report(device: str = "auto", resolution: int = 1024) -> str:
    """The section as Markdown: every figure, measured now on `device`. Raises ValueError below 128 px."""
    if resolution < 128:
        raise ValueError(f"resolution is {resolution}; the leak is measured past {BLEND_SITE}, so give 128 or more")
    device = torch.device(resolve_device(device))
    generator = create(resolution).to(device)
    batches = (1, 8) if device.type == "cuda" else (1,)
    columns = " | ".join(f"batch {batch}, ms" for batch in batches)
    operations = [*operation_rows(device, resolution, batches[-1]), region_row(device)]
    small = generator if resolution <= LEAK_RESOLUTION else create(LEAK_RESOLUTION).to(device)
    leak_head = f"Leak outside mask + halo at {small.resolution} px, {MASKS} masks, blend site {BLEND_SITE}"
    return "\n\n".join(
        [
            HEADING,
            f"{described(device)}; random weights; medians of one run.",
            "### Operations",
            table("operation | shape | type | pass | reference, ms | fast, ms | times faster", operations),
            f"### Synthesis at {resolution} px",
            table(
                f"formulation | convolutions | kernels | {columns} | peak memory", synthesis_rows(generator, batches)
            ),
            f"### {leak_head}",
            table("convolutions | largest difference | pixels that differ | change inside", leak_rows(small)),
        ]
    )
