"""Time the fast k-means against scikit-learn's with the released settings, on the same features of a profile.

Each path runs in a process of its own. Compare CPU seconds: they hardly depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import torch

from where2edit.commands.cli import run
from where2edit.editing.regions import collect
from where2edit.editor.build import build_generator
from where2edit.editor.profile import Profile, load_profile
from where2edit.ops.kmeans import kmeans


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: python scripts/benchmark_kmeans.py")
    parser.add_argument("--config", default="configs/mobile.yaml", help="profile (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of both paths (default: %(default)s)")
    parser.add_argument("--impl", choices=["fast", "reference"], help="measure this path only, in this process")
    parser.add_argument("overrides", nargs="*", help="section.key=value changes of the config")
    args = parser.parse_args()
    if args.impl:
        return print(json.dumps(measure(load_profile(args.config, args.overrides), args.impl, args.threads)))
    results = []
    for impl in ("fast", "reference"):
        command = [sys.executable, __file__, *sys.argv[1:], "--impl", impl]
        environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
        out = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
        results.append(json.loads(out.splitlines()[-1]))
        print(json.dumps(results[-1]), flush=True)
    fast, reference = results
    ratios = {f"{key}_ratio": reference[key] / fast[key] for key in ("cpu_seconds", "wall_seconds", "inertia")}
    print(json.dumps(ratios))


def measure(config: Profile, impl: str, threads: int) -> dict:
    """Collect the features, then time the k-means alone; the peak memory is that of the whole process."""
    torch.set_num_threads(threads)
    at = config.regions
    cells = collect(build_generator(config), at)
    cpu, wall = time.process_time(), time.perf_counter()
    result = kmeans(cells, at.k, at.upsample, at.n_init, at.seed, impl)
    facts = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
    facts |= {"peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "inertia": result.inertia}
    facts |= {"steps": result.iterations, "samples": at.samples, "k": at.k, "n_init": at.n_init, "threads": threads}
    return {"impl": impl, **facts}


if __name__ == "__main__":
    run(main)
