"""Times the fast k-means against scikit-learn's with the released settings, on the same features of a profile."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

import torch

from where2edit.commands.options import add_config, add_number, add_overrides, new_parser
from where2edit.core.bounds import Few
from where2edit.editing.regions import collect
from where2edit.editor.build import build_generator
from where2edit.editor.profile import Profile, load_profile
from where2edit.ops.kmeans import kmeans


def main(help_text: str) -> None:
    """Measure one implementation in this process, or both in processes of their own; print a JSON line for each."""
    parser = new_parser(help_text)
    add_number(parser, "--threads", Few, 1, "threads of each measurement")
    words = "measure this implementation only, in this process (default: both, one after the other)"
    parser.add_argument("--impl", choices=["fast", "reference"], help=words)
    add_config(parser)
    add_overrides(parser, "regions.samples=50")
    options = parser.parse_args()
    profile = load_profile(options.config, options.overrides)  # a wrong one is refused here, before any process starts
    if options.impl:
        print(json.dumps(measure(profile, options.impl, options.threads)))
        return
    fast, reference = (measure_apart(impl, options.threads) for impl in ("fast", "reference"))
    ratios = {f"{key}_ratio": reference[key] / fast[key] for key in ("cpu_seconds", "wall_seconds", "inertia")}
    print(json.dumps(ratios))


def measure_apart(impl: str, threads: int) -> dict:
    """Run this command again for one implementation, in a process of its own, and read the figures that it prints."""
    command = [sys.executable, *sys.argv, "--impl", impl]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode:
        raise ValueError(f"the measurement of '{impl}' ended with code {answer.returncode}; its message stands above")
    figures = json.loads(answer.stdout.splitlines()[-1])
    print(json.dumps(figures), flush=True)
    return figures


def measure(profile: Profile, impl: str, threads: int) -> dict:
    """Collect the features, then time the k-means alone; the peak memory is that of the whole process."""
    torch.set_num_threads(threads)
    at = profile.regions
    cells = collect(build_generator(profile), at, profile.generator.blend_site)
    cpu, wall = time.process_time(), time.perf_counter()
    result = kmeans(cells, at.k, at.upsample, at.n_init, at.seed, impl)
    facts = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
    facts |= {"peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "inertia": result.inertia}
    facts |= {"steps": result.iterations, "samples": at.samples, "k": at.k, "n_init": at.n_init, "threads": threads}
    return {"impl": impl, **facts}
