"""StyleGAN2 checkpoints: rosinality's `.pt` (key g_ema) and NVIDIA's `.pkl` (stylegan2-ada-pytorch, stylegan3).

Both store N(0,1) weights that are scaled at run time, in the same orientation, so that conversion is renaming and
reshaping only. NVIDIA leaves the run-time scale of demodulated convolutions out; it cancels, up to the 1e-8 under the
root.

Legend: I inputs, O outputs, r resolution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.registry import nearest
from where2edit.files.formats.readers import Record, module_tensors, read_checkpoint, read_nvidia_pickle
from where2edit.files.formats.table import ConversionTable, Drop, Take, highest, network, width
from where2edit.files.regular import shown
from where2edit.files.tensor_checks import checked

MEAN_SAMPLES = 4096  # mapped samples behind w_mean where a file has none, and in random networks
LATENT = 512  # numbers in z and in w
MOST_MAPPING = 16  # layers of a mapping network
MAPPING_LAYERS = 8  # of the published networks; small ones of stylegan2-ada-pytorch have 2
MOST_CHANNELS, LAST_WIDE = 512, 32  # every layer up to 32 px has 512 channels
CHANNEL_BASE = 16384  # above that: this number over the resolution, times the multiplier
TRAINING_ONLY = ("g", "d", "g_optim", "d_optim", "args", "ada_aug_p", "iter", "latent_avg")
FIR_DROPPED = "the blur [1,3,3,1], a constant of ours, after a check that it is the same"

# Names in the file and here, shape in the file and here ("": the same). `{s}` and `{t}` are the layer in either.
_ROSINALITY_CONVOLUTION = (
    ("{s}.conv.weight", "{t}.weight", "1 O I 3 3", "O I 3 3"),
    ("{s}.conv.modulation.weight", "{t}.affine.weight", "I 512", ""),
    ("{s}.conv.modulation.bias", "{t}.affine.bias", "I", ""),
    ("{s}.noise.weight", "{t}.noise_strength", "1", "scalar"),
    ("{s}.activate.bias", "{t}.bias", "O", ""),
)
_ROSINALITY_RGB = (
    ("{s}.conv.weight", "{t}.weight", "1 3 I 1 1", "3 I 1 1"),
    ("{s}.conv.modulation.weight", "{t}.affine.weight", "I 512", ""),
    ("{s}.conv.modulation.bias", "{t}.affine.bias", "I", ""),
    ("{s}.bias", "{t}.bias", "1 3 1 1", "3"),
)
_NVIDIA_CONVOLUTION = (
    ("{s}.weight", "{t}.weight", "O I 3 3", ""),
    ("{s}.bias", "{t}.bias", "O", ""),
    ("{s}.affine.weight", "{t}.affine.weight", "I 512", ""),
    ("{s}.affine.bias", "{t}.affine.bias", "I", ""),
    ("{s}.noise_const", "{t}.noise", "r r", "1 1 r r"),
    ("{s}.noise_strength", "{t}.noise_strength", "scalar", ""),
)
_NVIDIA_RGB = (
    ("{s}.weight", "{t}.weight", "3 I 1 1", ""),
    ("{s}.bias", "{t}.bias", "3", ""),
    ("{s}.affine.weight", "{t}.affine.weight", "I 512", ""),
    ("{s}.affine.bias", "{t}.affine.bias", "I", ""),
)


def channels(resolution: int, multiplier: int) -> int:
    """Channels written at a resolution by config E (multiplier 1) and F (2).

    512 up to 32 px (E) or 64 px (F), and half as many at each doubling from there.
    """
    return MOST_CHANNELS if resolution <= LAST_WIDE else CHANNEL_BASE // resolution * multiplier


def resolutions(last: int) -> list[int]:
    """4, 8, 16, ... up to `last`."""
    return [2**n for n in range(2, int(math.log2(last)) + 1)]


def _layer(rules: tuple, source: str, target: str, **sizes: int) -> list[Take]:
    """The rules of one layer with its names and sizes filled in."""

    def shape(text: str) -> tuple[int, ...]:
        return () if text == "scalar" else tuple(sizes[x] if x in sizes else int(x) for x in text.split())

    return [Take(s.format(s=source), t.format(t=target), shape(a), shape(b) if b else None) for s, t, a, b in rules]


def _mapping(source: Callable[[int], str], depth: int) -> list[Take]:
    """The rules of the mapping network's layers; `source` names a layer in the file."""
    layers = [(source(i), f"mapping_network.{i}") for i in range(depth)]
    weights = [Take(f"{s}.weight", f"{t}.weight", (LATENT, LATENT)) for s, t in layers]
    return weights + [Take(f"{s}.bias", f"{t}.bias", (LATENT,)) for s, t in layers]


def rosinality_table(resolution: int, multiplier: int, depth: int, noise: bool = True) -> ConversionTable:
    """Names of rosinality's `Generator`; `depth`: layers of its mapping; `noise=False`: without fixed noise maps."""
    take = [Take("input.input", "constant", (1, 512, 4, 4)), *_mapping(lambda i: f"style.{i + 1}", depth)]
    for n, r in enumerate(resolutions(resolution)):
        here, below = channels(r, multiplier), channels(r // 2, multiplier)
        layers = {"conv1": (f"convs.{2 * n - 1}" if n else "conv1", here, 2 * n)}
        if n:
            layers["conv0"] = (f"convs.{2 * n - 2}", below, 2 * n - 1)
        for role, (name, inputs, index) in layers.items():
            target = f"synthesis_network.{r}.{role}"
            take += _layer(_ROSINALITY_CONVOLUTION, name, target, I=inputs, O=here)
            if noise:
                take.append(Take(f"noises.noise_{index}", f"{target}.noise", (1, 1, r, r)))
        take += _layer(_ROSINALITY_RGB, f"to_rgbs.{n - 1}" if n else "to_rgb1", f"synthesis_network.{r}.rgb", I=here)
    drop = (Drop("convs.*.conv.blur.kernel", FIR_DROPPED), Drop("to_rgbs.*.upsample.kernel", FIR_DROPPED))
    return ConversionTable(f"StyleGAN2 {resolution} (rosinality)", tuple(take), drop)


def nvidia_table(resolution: int, multiplier: int, depth: int) -> ConversionTable:
    """Names of `Generator` in stylegan2-ada-pytorch, and of the StyleGAN2 generator in stylegan3; `depth` as above."""
    take = [
        Take("synthesis.b4.const", "constant", (512, 4, 4), (1, 512, 4, 4)),
        Take("mapping.w_avg", "w_mean", (LATENT,)),
        *_mapping(lambda i: f"mapping.fc{i}", depth),
    ]
    for r in resolutions(resolution):
        here, below = channels(r, multiplier), channels(r // 2, multiplier)
        for role, inputs in (("conv0", below), ("conv1", here)) if r > 4 else (("conv1", here),):
            name, target = f"synthesis.b{r}.{role}", f"synthesis_network.{r}.{role}"
            take += _layer(_NVIDIA_CONVOLUTION, name, target, I=inputs, O=here, r=r)
        take += _layer(_NVIDIA_RGB, f"synthesis.b{r}.torgb", f"synthesis_network.{r}.rgb", I=here)
    return ConversionTable(
        f"StyleGAN2 {resolution} (NVIDIA)", tuple(take), (Drop("synthesis.*resample_filter", FIR_DROPPED),)
    )


def convert_rosinality(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Our state dict and its sizes from a `.pt` with `g_ema`, with `generator`, or of the generator alone."""
    tree = read_checkpoint(path)
    state = network(tree, str(path), ("g_ema", "generator"), TRAINING_ONLY)
    blocks = max(highest(state, "to_rgbs."), highest(state, "convs.") // 2)
    resolution = _resolution(4 * 2 ** (blocks + 1), path)
    wide = width(state, "convs.6.conv.weight", 512, axis=1)
    noise, depth = highest(state, "noises.noise_") >= 0, _depth(highest(state, "style."))
    tensors = rosinality_table(resolution, _multiplier(wide), depth, noise).convert(state, str(path))
    _check_blur(state, (".blur.kernel", ".upsample.kernel"), path)
    sizes = _sizes(resolution, wide, depth)
    if not noise:
        tensors |= _seeded_noise(resolution)
        sizes["noise"] = "the file has no noise maps; drawn from seed 0"
    mean = tree.get("latent_avg")
    if mean is None:
        mean = _mapped_mean(tensors, depth)
        sizes["w_mean"] = f"the file has no latent_avg; mean of {MEAN_SAMPLES} samples of seed 0"
    elif not torch.is_tensor(mean) or mean.numel() != LATENT:
        found = list(mean.shape)[:6] if torch.is_tensor(mean) else type(mean).__name__
        raise ValueError(f"{shown(path)} holds 'latent_avg' {found}, but StyleGAN2 has [{LATENT}]")
    return tensors | {"w_mean": checked(mean, "latent_avg", path).float().reshape(LATENT)}, sizes


def convert_nvidia(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Our state dict and its sizes from NVIDIA's `.pkl`; of the networks in it only G_ema is read."""
    tree = read_nvidia_pickle(path)
    if not isinstance(tree.get("G_ema"), Record):
        raise ValueError(f"{shown(path)} has no network 'G_ema'; {nearest('G_ema', [shown(name) for name in tree])}")
    state = module_tensors(tree["G_ema"], path)
    last = max((2**n for n in range(2, 11) if any(name.startswith(f"synthesis.b{2**n}.") for name in state)), default=0)
    resolution = _resolution(last, path)
    wide, depth = width(state, "synthesis.b64.conv1.weight", 512), _depth(highest(state, "mapping.fc") + 1)
    tensors = nvidia_table(resolution, _multiplier(wide), depth).convert(state, str(path))
    _check_blur(state, ("resample_filter",), path)
    return tensors, _sizes(resolution, wide, depth)


def _depth(layers: int) -> int:
    """The layers of a mapping network; 8, those of the published ones, where the file names none."""
    return min(layers, MOST_MAPPING) if layers > 0 else MAPPING_LAYERS


def _resolution(resolution: int, path: str | Path) -> int:
    """`resolution`, or ValueError for one that StyleGAN2 does not come in."""
    if not 8 <= resolution <= 1024:
        raise ValueError(f"{path} does not hold a StyleGAN2 generator of 8 to 1024 px")
    return resolution


def _multiplier(wide: int) -> int:
    """1 where the 64 px layers have 256 channels (config E), else 2."""
    return 1 if wide == 256 else 2


def _sizes(resolution: int, wide: int, depth: int) -> dict[str, str]:
    """What the generator needs to be built, for the metadata."""
    sizes = {"resolution": str(resolution), "channel_multiplier": str(_multiplier(wide))}
    return sizes if depth == MAPPING_LAYERS else sizes | {"mapping_layers": str(depth)}


def _check_blur(state: Mapping[str, Any], endings: tuple[str, ...], path: str | Path) -> None:
    """The blur is built into our generator: a file with another one would give other images."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    for name in (n for n in state if n.endswith(endings)):
        kernel, expected = state[name], torch.outer(taps, taps)
        fits = torch.is_tensor(kernel) and kernel.shape == expected.shape and not kernel.is_complex()
        if not fits or not torch.allclose(kernel.float() / kernel.float().sum(), expected, atol=1e-3):
            raise ValueError(f"{shown(path)} holds '{name}' other than the blur [1,3,3,1] of StyleGAN2")


def _seeded_noise(resolution: int) -> dict[str, Tensor]:
    """The fixed noise maps of every convolution from seed 0, in execution order."""
    random, maps = torch.Generator().manual_seed(0), {}
    for r in resolutions(resolution):
        for role in ("conv0", "conv1") if r > 4 else ("conv1",):
            maps[f"synthesis_network.{r}.{role}.noise"] = torch.randn(1, 1, r, r, generator=random)
    return maps


def _mapped_mean(tensors: Mapping[str, Tensor], depth: int) -> Tensor:
    """The mean w of MEAN_SAMPLES mapped z: equalised linear layers at learning rate 0.01 with scaled leaky ReLUs."""
    z = torch.randn(MEAN_SAMPLES, LATENT, generator=torch.Generator().manual_seed(0))
    x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
    for i in range(depth):
        weight, bias = (tensors[f"mapping_network.{i}.{name}"].float() for name in ("weight", "bias"))
        x = F.leaky_relu(F.linear(x, weight * (0.01 / math.sqrt(LATENT)), bias * 0.01), 0.2) * math.sqrt(2)
    return x.mean(0)
