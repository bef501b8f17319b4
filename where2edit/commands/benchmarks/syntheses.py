"""The time and memory of whole StyleGAN2 syntheses, in each way of computing them."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from where2edit.commands.benchmarks.settings import Setting, implementations, settings_of
from where2edit.commands.benchmarks.timing import milliseconds
from where2edit.generators.stylegan2 import StyleGAN2


def synthesis_rows(generator: StyleGAN2, batches: tuple[int, ...] = (1, 8)) -> Iterator[tuple]:
    """Whole syntheses: formulation, convolutions, kernels, ms per batch (ratio to the first row), peak memory."""
    device = generator.constant.device
    settings = settings_of(device)
    plain = "cuDNN, fp32" if device.type == "cuda" else "CPU, fp32"
    ways = [("reference", "reference", plain), ("fast", "reference", plain)]
    if "fast" in implementations(device):
        ways += [("fast", "reference", "local, fp32"), *(("fast", "fast", name) for name in settings)]
    base: list[float] = []
    for impl, kernels, name in ways:
        times, peak = _measure(generator, settings[name], impl, kernels, batches)
        base = base or times
        formulation = "weights per sample" if impl == "reference" else "scaled activations"
        figures = [f"{t:.2f} ({b / t:.2f}x)" for t, b in zip(times, base, strict=True)]
        yield formulation, name, "ours" if kernels == "fast" else "torch", *figures, peak


@torch.no_grad()
def _measure(
    generator: StyleGAN2, setting: Setting, impl: str, kernels: str, batches: tuple[int, ...]
) -> tuple[list[float], str]:
    """Milliseconds of one synthesis for each batch size, and the peak memory of the last one ("-" on a CPU)."""
    device, times, peak = generator.constant.device, [], "-"
    with setting.active(generator, impl=impl, kernels=kernels) as changed:
        for batch in batches:
            styles = changed.styles(changed.w(changed.sample_z(range(batch))))
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            times.append(milliseconds(lambda s=styles: changed.synthesis(s), device, repeats=7))
            if device.type == "cuda":
                peak = f"{torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB"
    return times, peak
