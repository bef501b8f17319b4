"""StyleGAN2 (Karras et al. 2020, arXiv 1912.04958), config E and F, at any resolution from 8 to 1024.

Every layer is one `modulated_conv`: style, convolution, blur, demodulation, noise, bias, activation. Weights are stored
as N(0,1) and scaled at run time (equalised learning rate), as in the official checkpoints. Parameter names:
`mapping_network.{0-7}.{weight,bias}`, `constant`, and per site `synthesis_network.{site}.` with `weight` [O,I,k,k],
`bias` [O], `affine.{weight,bias}`, and on convolutions `noise` [1,1,r,r] and `noise_strength` [].

Legend: B batch, C or I channels read, O channels written, k kernel size, r resolution, R output resolution.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from where2edit.core.bounds import Seed
from where2edit.files import formats, tensorfile
from where2edit.files.formats.stylegan2 import MAPPING_LAYERS, MEAN_SAMPLES, MOST_MAPPING, channels
from where2edit.files.regular import shown
from where2edit.files.tensor_checks import fitted
from where2edit.generators import GENERATORS
from where2edit.generators.base import LATENT, Canvas, Generator, GeneratorConfig, Site, w_plus_index
from where2edit.ops.convolution import Local
from where2edit.ops.extension import Impl
from where2edit.ops.layers import EqualLinear, pixel_norm, scaled_leaky_relu
from where2edit.ops.modulated_conv import blur_padding, modulated_conv
from where2edit.ops.upfirdn2d import doubled, setup_fir, upfirdn2d

RESOLUTIONS = (8, 16, 32, 64, 128, 256, 512, 1024)
FIR = (1.0, 3.0, 3.0, 1.0)
KERNEL = 3
SKIP_PADDING = (2, 1, 2, 1)  # of the blur that doubles the RGB skip
MAPPING_LR = 0.01
KIND = "stylegan2"  # of the safetensors
# What the metadata of a file must say, and the values that there are.
SIZES = {"resolution": RESOLUTIONS, "channel_multiplier": (1, 2), "mapping_layers": tuple(range(1, MOST_MAPPING + 1))}


def reach(kernel: int, before: int, up: int, low: int = 0, high: int = 0) -> tuple[int, int]:
    """First and last output that changes when the inputs low..high of a filter change.

    The filter enlarges by `up` and pads `before` zeros in front; outputs are correlations with `kernel` taps.
    """
    return up * low + before - (kernel - 1), up * high + before


def spread(low: int, high: int, up: int) -> int:
    """How many pixels the outputs low..high, which input pixel 0 reaches, extend past its own outputs 0..up-1."""
    return max(-low, high - (up - 1), 0)


def stylegan2_sites(resolution: int, channel_multiplier: int) -> tuple[Site, ...]:
    """Sites in execution order, their reach computed from the kernel, the blur and their paddings."""
    transposed = (0, KERNEL - 1)  # outputs 2i..2i+k-1 of a transposed convolution see input i
    enlarging = spread(*reach(len(FIR), blur_padding(len(FIR), KERNEL)[0], 1, *transposed), up=2)
    plain = spread(*reach(KERNEL, KERNEL // 2, 1), up=1)
    skip = spread(*reach(len(FIR), SKIP_PADDING[0], 2), up=2)
    sites = []
    for r in (4, *(size for size in RESOLUTIONS if size <= resolution)):
        c = channels(r, channel_multiplier)
        if r > 4:
            sites.append(Site(r, "conv0", channels(r // 2, channel_multiplier), c, up=2, spread=enlarging))
        sites.append(Site(r, "conv1", c, c, up=1, spread=plain))
        sites.append(Site(r, "rgb", c, 3, up=1, spread=0, skip_spread=skip if r > 4 else 0))
    return tuple(sites)


@dataclass(frozen=True)
class StyleGAN2Options:
    """The `generator.options` of stylegan2."""

    resolution: Literal[8, 16, 32, 64, 128, 256, 512, 1024] = 1024
    channel_multiplier: Literal[1, 2] = 2  # 1: config E, 2: config F
    seed: Seed = 0  # of random weights, where the config names none


@dataclass
class Arithmetic:
    """How a generator computes; what it computes stays the same up to rounding.

    impl: modulated convolution by scaled activations ("fast", "auto") or modulated weights ("reference").
    kernels: blur and epilogue by our CUDA kernels or plain torch. local: on CUDA, convolutions in which a pixel depends
    on its receptive field bit for bit, "checked" by cuDNN where that is found to be so; False takes cuDNN.
    """

    impl: Impl = "auto"
    kernels: Impl = "auto"
    local: Local = "checked"


class StyledLayer(nn.Module):
    """The parameters of one site and what they do: a styled convolution, or with `site.rgb` a toRGB layer."""

    def __init__(self, site: Site):
        super().__init__()
        kernel = 1 if site.rgb else KERNEL
        self.rgb, self.enlarges = site.rgb, site.up == 2
        self.gain = 1 / math.sqrt(site.width * kernel**2)
        self.affine = EqualLinear(LATENT, site.width, bias=1)
        self.weight = nn.Parameter(torch.randn(site.channels, site.width, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(site.channels))
        if not site.rgb:
            self.register_buffer("noise", torch.randn(1, 1, site.resolution, site.resolution))
            self.noise_strength = nn.Parameter(torch.zeros(()))

    def forward(self, canvas: Canvas, style: Tensor, fir: Tensor, arithmetic: Arithmetic, dtype: torch.dtype) -> Tensor:
        """The features of a canvas [B,C,.,.], style [B,C] -> [B,O,r,r], or the part of it in the canvas's window.

        dtype: in which it computes.
        """
        return modulated_conv(
            canvas.features.to(dtype),
            self.weight,
            style * self.gain,
            fir=fir if self.enlarges else None,
            demodulate=not self.rgb,
            noise=None if self.rgb else canvas.own(self.noise) * self.noise_strength,
            bias=self.bias,
            activation="linear" if self.rgb else "leaky_relu",
            **vars(arithmetic),
        )


class StyleGAN2(Generator):
    """The network, with untrained weights from torch's global seed; use `create` or `load` to get one."""

    def __init__(self, resolution: int = 1024, channel_multiplier: int = 2, mapping_layers: int = MAPPING_LAYERS):
        super().__init__()
        if resolution not in RESOLUTIONS:
            raise ValueError(
                f"generator.options.resolution is {resolution}; allowed: {', '.join(map(str, RESOLUTIONS))}"
            )
        if channel_multiplier not in (1, 2):
            found = f"generator.options.channel_multiplier is {channel_multiplier}"
            raise ValueError(f"{found}; allowed: 1 (config E) and 2 (F)")
        self.name = f"stylegan2-{resolution}"
        self.resolution, self.channel_multiplier = resolution, channel_multiplier
        self.sites = stylegan2_sites(resolution, channel_multiplier)
        self.num_w = 2 * int(math.log2(resolution)) - 2
        self.arithmetic = Arithmetic()
        layers = (EqualLinear(LATENT, LATENT, lr_mul=MAPPING_LR) for _ in range(mapping_layers))
        self.mapping_network = nn.ModuleList(layers)
        self.constant = nn.Parameter(torch.randn(1, channels(4, channel_multiplier), 4, 4))
        self.synthesis_network = nn.ModuleDict()
        for site in self.sites:
            size = str(site.resolution)
            if size not in self.synthesis_network:
                self.synthesis_network[size] = nn.ModuleDict()
            self.synthesis_network[size][site.role] = StyledLayer(site)
        self.register_buffer("w_mean", torch.zeros(LATENT))
        self.register_buffer("fir", setup_fir(FIR), persistent=False)

    def settings(self) -> tuple[Hashable, ...]:
        return (*super().settings(), *vars(self.arithmetic).values())

    def lay_out(self) -> Generator:
        super().lay_out()
        for site in self.sites:
            if site.up == 2:  # a transposed convolution reads [I,O,k,k], which would be laid out anew each time
                weight = self.layer(site).weight
                weight.data = weight.data.transpose(0, 1).contiguous(memory_format=torch.channels_last).transpose(0, 1)
        return self

    def mapping(self, z: Tensor) -> Tensor:
        x = pixel_norm(z)
        for layer in self.mapping_network:
            x = scaled_leaky_relu(layer(x))
        return x

    def layer(self, site: Site) -> StyledLayer:
        """The layer of a site."""
        return self.synthesis_network[str(site.resolution)][site.role]

    def w_index(self, site: Site) -> int:
        return w_plus_index(site)

    def affine(self, site: Site, w: Tensor) -> Tensor:
        return self.layer(site).affine(w)

    def start(self, batch: int) -> Canvas:
        return Canvas(self.constant.expand(batch, -1, -1, -1))

    def step(self, site: Site, canvas: Canvas, style: Tensor) -> Canvas:
        y = self.layer(site)(canvas, style, self.fir, self.arithmetic, self.dtype(site))
        if site.rgb:
            y = y.to(self.w_mean.dtype)
        return canvas.rewrite(site, y + self.enlarge_rgb(canvas.rgb) if site.rgb and canvas.rgb is not None else y)

    def enlarge_rgb(self, rgb: Tensor) -> Tensor:
        """The RGB skip [B,3,r,r] -> [B,3,2r,2r] by zeros and the blur."""
        if not rgb.is_cuda and self.arithmetic.kernels != "reference":
            return doubled(rgb)
        return upfirdn2d(rgb, self.fir, up=2, padding=SKIP_PADDING, gain=4, impl=self.arithmetic.kernels)

    def image(self, canvas: Canvas) -> Tensor:
        return canvas.rgb


def create(resolution: int = 1024, channel_multiplier: int = 2, seed: int = 0) -> StyleGAN2:
    """A frozen StyleGAN2 with random weights of `seed`, the same on every machine; torch's global state is left alone.

    Biases and noise strengths, zero in an untrained network, are small random numbers here, so that they act.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        generator = StyleGAN2(resolution, channel_multiplier)
        for name, parameter in generator.named_parameters():
            if name.endswith((".bias", "noise_strength")) and name.startswith("synthesis"):
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        generator.w_mean.copy_(generator.mapping(torch.randn(MEAN_SAMPLES, LATENT)).mean(0))
    return generator.freeze()


def save(generator: StyleGAN2, path: str | Path, **metadata: str) -> None:
    """Write the weights as safetensors that describe themselves; `metadata` adds source, licence and so on."""
    described = {
        "resolution": str(generator.resolution),
        "channel_multiplier": str(generator.channel_multiplier),
        "mapping_layers": str(len(generator.mapping_network)),
    }
    tensorfile.write(path, generator.state_dict(), KIND, {**metadata, **described})


def load(path: str | Path) -> StyleGAN2:
    """A frozen StyleGAN2 from our safetensors. Raises ValueError naming the file for anything else."""
    state, metadata = tensorfile.read(path, KIND)
    metadata = {"mapping_layers": str(MAPPING_LAYERS)} | metadata
    with torch.device("meta"):
        generator = StyleGAN2(*(_number(metadata, key, path) for key in SIZES))
    state = fitted(state, generator.state_dict(), path, generator.name, "convert it again")
    generator.load_state_dict(state, assign=True)
    generator.fir = setup_fir(FIR)
    return generator.freeze()


def _number(metadata: dict[str, str], key: str, path: str | Path) -> int:
    """A size from the metadata of a file. Raises ValueError where it is none that StyleGAN2 has."""
    if metadata.get(key) not in map(str, SIZES[key]):
        known = f"expected a number: {', '.join(map(str, SIZES[key]))}"
        raise ValueError(f"{shown(path)} says {key}={shown(metadata.get(key, 'nothing'))!r}, {known}; convert it again")
    return int(metadata[key])


@GENERATORS.register("stylegan2", options=StyleGAN2Options)
def stylegan2(config: GeneratorConfig, options: StyleGAN2Options) -> StyleGAN2:
    """The frozen generator of a config: our safetensors or an asset at `weights`; None: random weights of the seed.

    Raises ValueError where the weights are of another size than the options say.
    """
    if config.weights is None:
        return create(options.resolution, options.channel_multiplier, options.seed)
    generator = load(formats.located(config.weights))
    if (generator.resolution, generator.channel_multiplier) != (options.resolution, options.channel_multiplier):
        raise ValueError(
            f"{config.weights} is {generator.resolution} px with channel multiplier {generator.channel_multiplier}, but"
            f" the config says {options.resolution} and {options.channel_multiplier}; set generator.options.resolution"
            " and generator.options.channel_multiplier to match"
        )
    return generator
