"""The time and memory of whole StyleGAN2 syntheses, in each way of computing them, in the same rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from where2edit.commands.benchmarks.run import BenchmarkRun
from where2edit.commands.benchmarks.settings import Setting, implementations, settings_of
from where2edit.commands.benchmarks.work import work_of
from where2edit.generators.stylegan2 import StyleGAN2

Way = tuple[str, str, str]  # formulation, kernels, setting


def synthesis_rows(run: BenchmarkRun, generator: StyleGAN2, batches: tuple[int, ...] = (1, 8)) -> Iterator[tuple]:
    """Whole syntheses: formulation, convolutions, kernels, ms per batch (ratio to the first row), and of the last batch
    the shares of the machine's matrix rate and copy bandwidth and the memory in GiB.
    """
    device, ways = run.device, ways_of(run.device)
    settings = settings_of(device)
    cells: dict[Way, list[str]] = {way: [] for way in ways}
    for batch in batches:
        calls = {str(way): _synthesis(generator, settings[way[2]], way, batch) for way in ways}
        times, rates = run.timed(calls, f"{generator.name}, batch {batch}")
        first = times[str(ways[0])].median
        for way in ways:
            cells[way].append(f"{times[str(way)]} ({first / times[str(way)].median:.2f}x)")
    for way in ways:
        work = work_of(calls[str(way)], device)
        used = work.shares(times[str(way)].median, rates)
        formulation = "weights per sample" if way[0] == "reference" else "scaled activations"
        kernels = "ours" if way[1] == "fast" else "torch"
        yield formulation, way[2], kernels, *cells[way], *used, f"{work.gib:.2f}"


def ways_of(device: torch.device) -> list[Way]:
    """What is compared on a device; the first is the released pipeline's."""
    plain = "cuDNN, fp32" if device.type == "cuda" else "CPU, fp32"
    ways = [("reference", "reference", plain), ("fast", "reference", plain)]
    if "fast" in implementations(device):
        ways += [("fast", "reference", "local, fp32"), *(("fast", "fast", name) for name in settings_of(device))]
    return ways


def _synthesis(generator: StyleGAN2, setting: Setting, way: Way, batch: int) -> Callable[[], object]:
    """A call that synthesises a batch in one way, with a generator of its own."""
    with setting.active(generator, impl=way[0], kernels=way[1]) as changed, torch.no_grad():
        styles = changed.styles(changed.w(changed.sample_z(range(batch))))

    @torch.no_grad()
    def synthesis() -> object:
        with setting.switched():
            return changed.synthesis(styles)

    return synthesis
