"""Measures speed and memory, and writes sections, pictures and JSON lines of docs/benchmarks.md."""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import torch

from where2edit.commands.benchmarks.clusters import cluster_text
from where2edit.commands.benchmarks.edit_growth import area_growth, batch_growth, evaluation_growth
from where2edit.commands.benchmarks.edits import GRID, measured
from where2edit.commands.benchmarks.growth import draw
from where2edit.commands.benchmarks.lines import MeasuredLines
from where2edit.commands.benchmarks.machine import described
from where2edit.commands.benchmarks.ops_text import operations_text
from where2edit.commands.benchmarks.run import BenchmarkRun
from where2edit.commands.benchmarks.sections import left_out, write_section
from where2edit.commands.benchmarks.subjects import EditSubject, random_stylegan2, shipped_editor, with_onnx
from where2edit.commands.benchmarks.training import training_text
from where2edit.commands.benchmarks.variants import variants_text
from where2edit.commands.options import (
    DEFAULT_CONFIG,
    add_device,
    add_number,
    add_out,
    add_overrides,
    filled,
    new_parser,
)
from where2edit.commands.outputs import MARKDOWN, new_file
from where2edit.core.bounds import Few, Pixels, Seconds
from where2edit.core.devices import resolve_device
from where2edit.editor.profile import load_profile

TOY, PAPER = "configs/toy.yaml", "configs/ffhq.yaml"
LEAST = 2 * GRID  # pixels: edits are blended at GRID px
# StyleGAN2 of a quick run.
SMALL, SMALL_PIXELS = ("generator.options.channel_multiplier=1", "generator.blend_site=16.conv1"), 32


@dataclass(frozen=True)
class BenchmarkTask:
    """What is measured: the profile's config with its changes, pixels of StyleGAN2, threads of the clustering."""

    config: str
    also: tuple[str, ...]  # configs of which only a training step is measured
    overrides: list[str]
    resolution: int
    threads: int


def main(help_text: str) -> None:
    """Measure what is asked for, section by section; each is written as soon as it is whole."""
    options = build_parser(help_text).parse_intermixed_args()  # changes of the config may stand after options
    if options.resolution < LEAST:
        raise ValueError(
            f"--resolution is {options.resolution}; edits are blended at {GRID} px, so give {LEAST} or more"
        )
    device = torch.device(resolve_device(options.device))
    asked = what_is_asked(options, device)
    load_profile(asked.config, asked.overrides)  # a wrong one is refused here, before anything is measured
    new_file(options.out, MARKDOWN, overwrite=True)
    rounds = 1 if options.quick else options.rounds

    def section(name: str) -> str:
        run = BenchmarkRun(device, rounds, options.budget, options.quick)
        text = write_benchmark(name, run, asked, options.out)
        print(text, flush=True)
        return text

    names = list(SECTIONS) if options.what == "all" else [options.what]
    _, missing = possible({name: partial(section, name) for name in names})
    if missing:
        raise ValueError(" ".join(missing))


def build_parser(help_text: str) -> argparse.ArgumentParser:
    """The options of the command."""
    parser = new_parser(help_text)
    parser.add_argument("what", choices=[*SECTIONS, "all"], help="what is measured")
    words = f"profile, a YAML file (default: {DEFAULT_CONFIG}; a training step also of {PAPER} on a GPU)"
    parser.add_argument("--config", type=filled, help=words)
    add_device(parser)
    add_number(parser, "--rounds", Few, 5, "rounds of all measurements, after one that is not counted")
    add_number(parser, "--budget", Seconds, 60.0, "seconds of each growth curve: larger sizes are left out")
    add_number(parser, "--resolution", Pixels, 1024, "pixels of StyleGAN2, 128 to 1024")
    add_number(parser, "--threads", Few, 1, "threads of each clustering")
    words = f"everything in small, one round, with {TOY}: does it run? Its figures mean nothing"
    parser.add_argument("--quick", action="store_true", help=words)
    add_out(
        parser, "docs/benchmarks.md", "Markdown file with the sections, beside which lines and pictures are written"
    )
    add_overrides(parser, "training.prompts=8")
    return parser


def what_is_asked(options: argparse.Namespace, device: torch.device) -> BenchmarkTask:
    """The options with their defaults filled in."""
    config = options.config or (TOY if options.quick else DEFAULT_CONFIG)
    also = (PAPER,) if device.type == "cuda" and options.config is None and not options.quick else ()
    resolution = LEAST if options.quick else options.resolution
    return BenchmarkTask(config, also, options.overrides, resolution, options.threads)


def edit_section(run: BenchmarkRun, asked: BenchmarkTask) -> str:
    """Whole edits of the profile's editor and of StyleGAN2: by area, in variants, and their growth."""
    profile = load_profile(asked.config, asked.overrides)

    def ours(changes: tuple[str, ...], *how):
        return shipped_editor(run.device, load_profile(asked.config, [*asked.overrides, *changes]), *how)

    def stylegan2(changes: tuple[str, ...], *how):
        small = SMALL if run.quick else ()
        return random_stylegan2(run.device, SMALL_PIXELS if run.quick else asked.resolution, (*small, *changes), *how)

    def edits(build: Callable[..., EditSubject], subject: EditSubject) -> str:
        parts = [measured(run, subject).text(subject)]
        parts += [grown(run, subject).text() for grown in (area_growth, batch_growth)]
        return "\n\n".join([*parts, variants_text(run, f"Variants, {subject.name}", build)])

    parts = {
        f"edits of profile {profile.name}": lambda: edits(ours, with_onnx(ours(()))),
        "edits of StyleGAN2": lambda: edits(stylegan2, stylegan2(())),
        f"the evaluation of profile {profile.name}": lambda: evaluation_growth(run, profile).text(),
    }
    return joined(parts)


def train_section(run: BenchmarkRun, asked: BenchmarkTask) -> str:
    """A training step of the profile, and on a GPU of the paper's."""
    configs = {asked.config: asked.overrides, **{config: [] for config in asked.also}}
    return joined({f"training with {name}": partial(training_text, run, name, how) for name, how in configs.items()})


def cluster_section(run: BenchmarkRun, asked: BenchmarkTask) -> str:
    """The clustering of the profile's features."""
    return cluster_text(run, load_profile(asked.config, asked.overrides), asked.threads)


def ops_section(run: BenchmarkRun, asked: BenchmarkTask) -> str:
    """Operations and syntheses of StyleGAN2."""
    return operations_text(run, asked.resolution)


def possible(parts: Mapping[str, Callable[[], str]]) -> tuple[list[str], list[str]]:
    """The texts of the parts that can be measured here, and a sentence on each whose weights cannot be had.

    Raises the error of the last where there is no other.
    """
    texts, missing = [], []
    for name, measure in parts.items():
        try:
            texts.append(measure())
        except (ValueError, OSError) as error:
            if not texts and len(missing) == len(parts) - 1:
                raise
            missing.append(left_out(f"Not measured, {name}", error))
    return texts, missing


def joined(parts: Mapping[str, Callable[[], str]]) -> str:
    """The text of a section of several parts, and in the end what is missing."""
    return "\n\n".join(chain(*possible(parts)))


Section = Callable[[BenchmarkRun, BenchmarkTask], str]
SECTIONS: dict[str, tuple[str, Section]] = {
    "edit": ("Whole edits", edit_section),
    "train": ("Training steps", train_section),
    "cluster": ("Clustering", cluster_section),
    "ops": ("Operations and StyleGAN2 synthesis", ops_section),
}


def write_benchmark(name: str, run: BenchmarkRun, asked: BenchmarkTask, out: Path) -> str:
    """Measure one section, write it with its lines and picture, and return its text.

    What is broken off leaves the lines that were measured; text and picture of the last whole run stay.
    """
    title, section = SECTIONS[name]
    kind = "" if run.device.type == "cpu" else f"-{run.device.type}"
    heading = f"## {title}" if run.device.type == "cpu" else f"## {title}, on a GPU"
    run.lines = MeasuredLines(out.with_suffix(".jsonl"), heading.removeprefix("## "))
    run.keep(machine=described(run.device), rounds=run.rounds, budget=run.budget)
    measured_text = section(run, asked)
    made = f"Made by `python scripts/benchmark.py {name}`. {described(run.device)}; {run.rounds} rounds of everything."
    parts = [heading, made, measured_text]
    if run.growths:
        picture = draw(run.growths, out.with_name(f"{out.stem}-{name}{kind}.png"))
        parts.append(f"![Growth curves of this section]({picture.name})")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    text = "\n\n".join([*parts, f"Peak memory of the process so far: {peak:.1f} GiB."])
    write_section(out, heading, text)
    run.lines.close()
    return text
