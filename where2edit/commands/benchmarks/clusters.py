"""The time of the fast k-means beside scikit-learn's with the released settings, on the same features of a profile.

Each measurement is a process of its own, so that its memory is seen, too. Compare CPU seconds: they hardly depend on
what else the machine does.
"""

from __future__ import annotations

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context

import torch

from where2edit.commands.benchmarks.growth import Growth
from where2edit.commands.benchmarks.run import BenchmarkRun
from where2edit.commands.benchmarks.sections import table
from where2edit.commands.benchmarks.timing import Times, wait
from where2edit.editing.regions import collect
from where2edit.editor.build import build_generator
from where2edit.editor.profile import Profile
from where2edit.ops.kmeans import kmeans

SAMPLES = (10, 20, 50, 100, 200, 400)
FAST, REFERENCE = "fast", "reference"
COLUMNS = (
    "samples | path | CPU seconds | times less | wall seconds | peak memory, GiB | inertia | steps over all points"
)
Measured = dict[str, float]


def measure(profile: Profile, impl: str, threads: int, device: str = "cpu") -> Measured:
    """Collect the features, then time the k-means alone; the peak memory is that of the whole process."""
    torch.set_num_threads(threads)
    at = profile.regions
    cells = collect(build_generator(profile, device), at, profile.generator.blend_site)
    wait(torch.device(device))
    cpu, wall = time.process_time(), time.perf_counter()
    result = kmeans(cells, at.k, at.upsample, at.n_init, at.seed, impl)
    facts = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
    facts |= {"peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "inertia": result.inertia}
    facts |= {"steps": result.iterations, "samples": at.samples, "k": at.k, "n_init": at.n_init, "threads": threads}
    return facts


def measure_apart(profile: Profile, impl: str, threads: int, device: str = "cpu") -> Measured:
    """The same in a process of its own. Raises ValueError where that process is killed, as for its memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        try:
            return apart.submit(measure, profile, impl, threads, device).result()
        except BrokenProcessPool:
            what = f"the k-means '{impl}' of {profile.regions.samples} samples"
            raise ValueError(f"{what} was killed, most likely for its memory; give a shorter --budget") from None


@dataclass(frozen=True)
class ClusterPath:
    """One of the two things that are compared: an implementation on a device."""

    name: str
    impl: str
    device: str


def compared(device: torch.device) -> tuple[ClusterPath, ClusterPath]:
    """What is measured and what it is compared with: scikit-learn, or for a GPU the same on the CPU."""
    if device.type == "cuda":
        return ClusterPath("fast, GPU", FAST, str(device)), ClusterPath("fast, CPU", FAST, "cpu")
    return ClusterPath("fast", FAST, "cpu"), ClusterPath("scikit-learn", REFERENCE, "cpu")


class ClusterRun:
    """Measures two paths at growing numbers of samples; the slow one gets half of the budget, the fast one goes on."""

    def __init__(self, run: BenchmarkRun, profile: Profile, threads: int):
        self.run, self.profile, self.threads = run, profile, threads
        self.fast, self.slow = compared(run.device)
        self.found: list[tuple[int, str, Measured]] = []
        self._began = time.monotonic()
        self._last: dict[str, tuple[float, float]] = {}  # path -> samples and seconds of its last measurement

    def at(self, samples: float) -> dict[str, Times]:
        """Wall milliseconds of both paths at so many samples, in turn, in as many rounds as the budget holds."""
        taken: dict[str, list[float]] = {}
        for _ in range(self.run.rounds):
            for path in (self.fast, self.slow):
                if path is self.fast or self._affordable(samples):
                    taken.setdefault(path.name, []).append(1e3 * self._one(path, int(samples))["wall_seconds"])
        return {name: Times(tuple(values)) for name, values in taken.items()}

    def expected(self, samples: float) -> float:
        """Seconds that `at` would take."""
        one = self._expected(self.fast, samples) * self.run.rounds
        return one + (self._expected(self.slow, samples) if self._affordable(samples) else 0)

    def _expected(self, path: ClusterPath, samples: float) -> float:
        """Seconds of one measurement, from the last; 0 before the first."""
        size, seconds = self._last.get(path.name, (samples, 0.0))
        return seconds * samples / size

    def _affordable(self, samples: float) -> bool:
        """Whether the slow path's next measurement would end in its half of the budget; the first is always made."""
        took = self._expected(self.slow, samples)
        return not took or time.monotonic() - self._began + took < self.run.budget / 2

    def _one(self, path: ClusterPath, samples: int) -> Measured:
        profile = replace(self.profile, regions=replace(self.profile.regions, samples=samples))
        began = time.monotonic()
        facts = measure_apart(profile, path.impl, self.threads, path.device)
        self._last[path.name] = samples, time.monotonic() - began
        self.found.append((samples, path.name, facts))
        self.run.keep(what="k-means", row=path.name, **facts)
        return facts


def cluster_text(run: BenchmarkRun, profile: Profile, threads: int) -> str:
    """Heading, table and growth of the clustering of a profile."""
    clusters = ClusterRun(run, profile, threads)
    growth = Growth(f"k-means by samples, profile {profile.name}", "samples", clusters.slow.name)
    run.kept(growth, (2, 4) if run.quick else SAMPLES, clusters.at, clusters.expected)
    at = profile.regions
    words = (
        f"k = {at.k}, n_init {at.n_init}, {threads} thread(s) each; of several rounds the one with the lowest CPU time."
    )
    rows = cluster_rows(clusters.found, clusters.slow.name)
    return "\n\n".join([words, table(COLUMNS, rows), growth.text()])


def cluster_rows(found: list[tuple[int, str, Measured]], base: str) -> list[tuple[str, ...]]:
    """Lines with COLUMNS: of each number of samples and path the measurement with the lowest CPU time."""
    best: dict[tuple[int, str], Measured] = {}
    for samples, name, facts in found:
        known = best.get((samples, name))
        if known is None or facts["cpu_seconds"] < known["cpu_seconds"]:
            best[samples, name] = facts
    rows = []
    for (samples, name), facts in best.items():
        other = None if name == base else best.get((samples, base))
        less = f"{other['cpu_seconds'] / facts['cpu_seconds']:.1f}" if other else ""
        cpu, wall, peak = (f"{facts[key]:.2f}" for key in ("cpu_seconds", "wall_seconds", "peak_gib"))
        rows.append((str(samples), name, cpu, less, wall, peak, f"{facts['inertia']:.5g}", f"{facts['steps']}"))
    return rows
