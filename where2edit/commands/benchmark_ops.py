"""What the operations and whole StyleGAN2 syntheses cost with and without our kernels, and what each way leaks.

One run measures everything, so that every ratio compares two things on one machine. It works on a CPU too, where the
rows of the kernels are left out.
"""

from __future__ import annotations

import copy
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from where2edit.core.records import Source
from where2edit.generators.base import Canvas
from where2edit.generators.stylegan2 import FIR, SKIP_PADDING, Arithmetic, StyleGAN2, create
from where2edit.ops.bias_act import bias_act
from where2edit.ops.extension import use_fast
from where2edit.ops.region_mean import region_mean
from where2edit.ops.upfirdn2d import setup_fir, upfirdn2d

BLEND_SITE = "64.conv1"
HEADING = "## Operations and StyleGAN2 synthesis"


@dataclass(frozen=True)
class Setting:
    """Precision, layout and choice of algorithms around a measurement; the defaults are plain float32 in NCHW."""

    local: bool = False
    tf32: bool = False
    channels_last: bool = False
    deterministic: bool = False
    search: bool = False  # cudnn.benchmark
    dtype: torch.dtype = torch.float32

    @contextmanager
    def active(self, generator: StyleGAN2, **arithmetic: str) -> Iterator[StyleGAN2]:
        """A copy of the generator that computes this way, while torch's own switches stand accordingly."""
        changed = copy.deepcopy(generator)
        changed.arithmetic = Arithmetic(local=self.local, **arithmetic)
        changed.to(self.dtype, memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)
        matmul = torch.backends.cuda.matmul.allow_tf32
        flags = {"deterministic": self.deterministic, "benchmark": self.search, "allow_tf32": self.tf32}
        with torch.backends.cudnn.flags(enabled=True, **flags):
            torch.backends.cuda.matmul.allow_tf32 = self.tf32
            try:
                yield changed
            finally:
                torch.backends.cuda.matmul.allow_tf32 = matmul


LOCAL_SETTINGS = {
    "local, fp32": Setting(local=True),
    "local, TF32": Setting(local=True, tf32=True),
    "local, bf16": Setting(local=True, dtype=torch.bfloat16),
}
CUDNN_SETTINGS = {
    "cuDNN, fp32": Setting(),
    "cuDNN, fp32, deterministic": Setting(deterministic=True),
    "cuDNN, fp32, benchmark": Setting(search=True),
    "cuDNN, fp32, channels last": Setting(channels_last=True),
    "cuDNN, TF32": Setting(tf32=True),
    "cuDNN, TF32, channels last": Setting(tf32=True, channels_last=True),
    "cuDNN, bf16, channels last": Setting(dtype=torch.bfloat16, channels_last=True),
}


@dataclass(frozen=True)
class Leak:
    """How edits changed what they must not reach: |difference| outside mask + halo of the blend site."""

    largest: float
    touched: float  # share of the pixels outside that differ at all
    inside: float  # the smallest, over the masks, of the largest change inside, to show that the edits did something


@torch.no_grad()
def measure_leak(generator: StyleGAN2, setting: Setting, masks: int = 20, **arithmetic: str) -> Leak:
    """The leak of one edit of one source under random masks, one seed per mask."""
    with setting.active(generator, **arithmetic) as generator:
        source, edited = (generator.source(generator.w(generator.sample_z([seed]))) for seed in (0, 1))
        found = []
        for seed in range(masks):
            mask = random_mask(seed).to(source.w.device)
            difference = (_blend(generator, source, edited, mask) - source.image).abs().float().amax(1, keepdim=True)
            reached = _grow(mask, generator.resolution, generator.halo(BLEND_SITE))
            found.append((difference[~reached], difference[reached].max().item()))
    outside = torch.cat([beyond for beyond, _ in found])
    return Leak(outside.max().item(), (outside > 0).float().mean().item(), min(inside for _, inside in found))


def random_mask(seed: int) -> Tensor:
    """A random mask [1,1,64,64]: some 8 x 8 blots and one lone cell."""
    coarse = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) < 0.1
    mask = coarse.repeat_interleave(8, 2).repeat_interleave(8, 3)
    mask[0, 0, seed % 64, 3 * seed % 64] = True
    return mask


def _blend(generator: StyleGAN2, source: Source, edited: Source, mask: Tensor) -> Tensor:
    """The image of `edited` inside a 0/1 mask and `source` outside: features and RGB skip mixed, the source's tail."""
    site = generator.site("64.rgb")
    canvas = Canvas(torch.where(mask, edited.features[BLEND_SITE], source.features[BLEND_SITE]), edited.rgb["32.rgb"])
    canvas = generator.step(site, canvas, edited.styles[site.name])
    canvas = canvas.rewrite(site, torch.where(mask, canvas.rgb, source.rgb[site.name]))
    return generator.tail(canvas, source.styles, site.name)


def _grow(mask: Tensor, resolution: int, halo: int) -> Tensor:
    cell = resolution // mask.shape[-1]
    pixels = mask.repeat_interleave(cell, 2).repeat_interleave(cell, 3).float()
    return torch.nn.functional.max_pool2d(pixels, 2 * halo + 1, stride=1, padding=halo) > 0


def milliseconds(call: Callable[[], object], device: torch.device, repeats: int = 10) -> float:
    """Median time of a call after two unmeasured ones."""
    times = []
    for _ in range(repeats + 2):
        _wait(device)
        begin = time.perf_counter()
        call()
        _wait(device)
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times[2:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _epilogue(x: Tensor, impl: str) -> Tensor:
    """Demodulation, noise, bias and leaky ReLU of the last convolution."""
    bias, scale, noise = x.new_ones(x.shape[1]), x.new_ones(x.shape[:2]), x.new_ones(x.shape[2:])
    return bias_act(x, bias, scale=scale, noise=noise, impl=impl)


@lru_cache
def _fir(device: torch.device) -> Tensor:
    return setup_fir(FIR).to(device)


def _blur(x: Tensor, impl: str) -> Tensor:
    """The blur after a transposed convolution."""
    return upfirdn2d(x, _fir(x.device), padding=(1, 1, 1, 1), gain=4, impl=impl)


def _skip(x: Tensor, impl: str) -> Tensor:
    """The doubled RGB skip."""
    return upfirdn2d(x, _fir(x.device), up=2, padding=SKIP_PADDING, gain=4, impl=impl)


def operation_rows(device: torch.device, size: int, batch: int = 8) -> Iterator[tuple]:
    """Each operation on the shapes of the last layers of a `size` px synthesis: name, shape, type, pass, times."""
    cases = {"epilogue": (_epilogue, 32, size), "blur": (_blur, 32, size + 1), "RGB skip": (_skip, 3, size // 2)}
    for name, (run, channels, side) in cases.items():
        for dtype, layout in (
            (torch.float32, torch.contiguous_format),
            (torch.float32, torch.channels_last),
            (torch.bfloat16, torch.contiguous_format),
            (torch.float16, torch.channels_last),
        ):
            x = torch.randn(batch, channels, side, side, device=device, dtype=dtype).contiguous(memory_format=layout)
            kind = f"{str(dtype).split('.')[1]}{', channels last' if layout == torch.channels_last else ''}"
            for derive in (False, True):
                times = [milliseconds(_pass(run, x, impl, derive), device) for impl in _impls(device)]
                direction = "forward + backward" if derive else "forward"
                yield name, str(list(x.shape)), kind, direction, *_cells(times)


def _pass(run: Callable, x: Tensor, impl: str, derive: bool) -> Callable[[], object]:
    if not derive:
        return lambda: run(x, impl)
    leaf = x.detach().requires_grad_()
    pull = torch.ones_like(run(x, impl))
    return lambda: torch.autograd.grad(run(leaf, impl), leaf, pull)


def _impls(device: torch.device) -> tuple[str, ...]:
    """Reference first, and the kernels where the device has them; ValueError on a GPU that cannot build them."""
    if device.type == "cuda" and use_fast("fast", "benchmark", torch.zeros(1, device=device)):
        return "reference", "fast"
    return ("reference",)


def _cells(times: list[float]) -> list[str]:
    """Reference, fast and how many times faster; dashes where only the reference ran."""
    if len(times) == 1:
        return [f"{times[0]:.3f}", "-", "-"]
    return [*(f"{t:.3f}" for t in times), f"{times[0] / times[1]:.2f}"]


def region_row(device: torch.device) -> tuple:
    """Region means of 8 masks with 20 regions: a loop against the scatter."""
    a = torch.rand(8, 1, 64, 64, device=device)
    labels = (torch.arange(8 * 64 * 64, device=device) % 20).view(8, 64, 64)
    times = [milliseconds(lambda impl=impl: region_mean(a, labels, 20, impl), device) for impl in ("reference", "fast")]
    return "region mean", str(list(a.shape)), "float32", "forward", *_cells(times)


def _settings(device: torch.device) -> dict[str, Setting]:
    return LOCAL_SETTINGS | CUDNN_SETTINGS if device.type == "cuda" else {"CPU, fp32": Setting()}


def synthesis_rows(generator: StyleGAN2, batches: tuple[int, ...] = (1, 8)) -> Iterator[tuple]:
    """Whole syntheses: formulation, convolutions, kernels, ms per batch, ratio to the first row, peak memory."""
    device = generator.constant.device
    settings = _settings(device)
    plain = "cuDNN, fp32" if device.type == "cuda" else "CPU, fp32"
    ways = [("reference", "reference", plain), ("fast", "reference", plain)]
    if "fast" in _impls(device):
        ways += [("fast", "reference", "local, fp32"), *(("fast", "fast", name) for name in settings)]
    base: list[float] = []
    for impl, kernels, name in ways:
        times, peak = [], "-"
        with settings[name].active(generator, impl=impl, kernels=kernels) as changed, torch.no_grad():
            for batch in batches:
                styles = changed.styles(changed.w(changed.sample_z(range(batch))))
                if device.type == "cuda":
                    torch.cuda.reset_peak_memory_stats(device)
                times.append(milliseconds(lambda c=changed, s=styles: c.synthesis(s), device, repeats=7))
                if device.type == "cuda":
                    peak = f"{torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB"
        base = base or times
        formulation = "weights per sample" if impl == "reference" else "scaled activations"
        figures = [f"{t:.2f} ({b / t:.2f}x)" for t, b in zip(times, base, strict=True)]
        yield formulation, name, "ours" if kernels == "fast" else "torch", *figures, peak


def leak_rows(generator: StyleGAN2) -> Iterator[tuple]:
    """What each kind of convolution leaks under 20 masks."""
    for name, setting in _settings(generator.constant.device).items():
        leak = measure_leak(generator, setting)
        yield name, f"{leak.largest:.2e}", f"{leak.touched:.2%}", f"{leak.inside:.2f}"


def _table(head: str, rows: Iterator[tuple]) -> str:
    columns = head.split(" | ")
    lines = [head, " | ".join("---" for _ in columns), *(" | ".join(map(str, row)) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def report(device: torch.device, resolution: int = 1024) -> str:
    """The section of docs/benchmarks.md: every figure of this module, measured now on `device`, as Markdown."""
    if resolution < 128:
        raise ValueError(f"resolution is {resolution}; the leak is measured past {BLEND_SITE}, so give 128 or more")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is '{device}' but no GPU is visible; use --device cpu")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    generator = create(resolution).to(device)
    batches = (1, 8) if device.type == "cuda" else (1,)
    columns = " | ".join(f"batch {batch}, ms" for batch in batches)
    operations = [*operation_rows(device, resolution, batches[-1]), region_row(device)]
    machine = f"{name}; torch {torch.__version__}; Python {platform.python_version()}"
    syntheses, leaks = synthesis_rows(generator, batches), leak_rows(_small(generator))
    return "\n\n".join(
        [
            HEADING,
            f"{machine}; random weights; medians of one run.",
            "### Operations",
            _table("operation | shape | type | pass | reference, ms | fast, ms | times faster", iter(operations)),
            f"### Synthesis at {resolution} px",
            _table(f"formulation | convolutions | kernels | {columns} | peak memory", syntheses),
            f"### Leak outside mask + halo at {min(resolution, 256)} px, 20 masks, blend site {BLEND_SITE}",
            _table("convolutions | largest difference | pixels that differ | change inside", leaks),
        ]
    )


def _small(generator: StyleGAN2) -> StyleGAN2:
    """The generator for the leak: the same where it is small enough, else one of 256 px."""
    if generator.resolution <= 256:
        return generator
    return create(256).to(generator.constant.device)


def write_section(path: Path, text: str) -> None:
    """Put the section into a Markdown file in place of its earlier version; other sections stay."""
    before = path.read_text(encoding="utf-8") if path.is_file() else "# Benchmarks\n"
    start = before.find(HEADING)
    if start < 0:
        after = ""
        head = before.rstrip() + "\n\n"
    else:
        end = before.find("\n## ", start + 1)
        head, after = before[:start], before[end:] if end >= 0 else ""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + text + "\n" + after, encoding="utf-8")
