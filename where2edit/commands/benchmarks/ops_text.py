"""What is measured of the operations: each against its reference, whole syntheses, and what convolutions leak."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from where2edit.commands.benchmarks.leaks import BLEND_SITE, MASKS, leak_rows
from where2edit.commands.benchmarks.operations import ROUNDS, operation_rows, region_row
from where2edit.commands.benchmarks.run import BenchmarkRun
from where2edit.commands.benchmarks.sections import table
from where2edit.commands.benchmarks.syntheses import synthesis_rows
from where2edit.generators.stylegan2 import create

LEAK_RESOLUTION = 256  # pixels of the generator of the leak, which does not depend on its size
USED = "of the matrix rate | of the copy bandwidth | memory, GiB"  # by the largest batch
MOST_MASKS = 5 * MASKS  # on a GPU


def operations_text(run: BenchmarkRun, resolution: int) -> str:
    """Headings and tables, every figure measured now. Raises ValueError below 128 px."""
    if resolution < 128:
        raise ValueError(f"resolution is {resolution}; the leak is measured past {BLEND_SITE}, so give 128 or more")
    width = 1 if run.quick else 2  # channel multiplier
    generator = create(resolution, width).to(run.device)
    batches = (1, 8) if run.device.type == "cuda" else (1,)
    masks = 2 if run.quick else MOST_MASKS if run.device.type == "cuda" else MASKS
    columns = " | ".join(f"batch {batch}, ms (times faster)" for batch in batches)
    synthesis = f"formulation | convolutions | kernels | {columns} | {USED}"
    small = generator if resolution <= LEAK_RESOLUTION else create(LEAK_RESOLUTION, width).to(run.device)
    leak = f"Leak outside mask + halo at {small.resolution} px, {masks} masks, blend site {BLEND_SITE}"
    head = "operation | shape | type | pass | reference, ms | fast, ms | times faster | spread"
    rounds = 1 if run.quick else ROUNDS
    operations = chain(operation_rows(run.device, resolution, batches[-1], rounds), [region_row(run.device, rounds)])
    parts = [
        ("Operations", head, operations),
        (f"Synthesis at {resolution} px", synthesis, synthesis_rows(run, generator, batches)),
        (leak, "convolutions | largest difference | pixels that differ | change inside", leak_rows(small, masks)),
    ]
    text = []
    for name, columns, rows in parts:
        text += [f"### {name}", table(columns, written(run, name, columns, rows))]
    return "\n\n".join(text)


def written(run: BenchmarkRun, what: str, columns: str, rows: Iterable[tuple]) -> Iterator[tuple]:
    """The rows, each written down as soon as it is measured."""
    for row in rows:
        run.keep(what=what, columns=columns, row=row)
        yield row
