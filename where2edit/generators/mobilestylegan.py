"""MobileStyleGAN-FFHQ: StyleGAN2-FFHQ distilled into 8 M parameters (Belousov 2021, arXiv 2104.04767).

Every convolution multiplies its input by the style; demodulation and noise were folded into constants when the network
was exported, so that a whole batch is one ordinary convolution. There is no RGB skip: the picture is read out once, by
an inverse Haar transform, at the end.

Legend: B batch, C channels read, O channels written, r resolution.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.core.registry import NoOptions
from where2edit.files import assets, tensorfile
from where2edit.files.formats.openvino_ir import Graph
from where2edit.files.tensor_checks import fitted
from where2edit.generators import GENERATORS
from where2edit.generators.base import LATENT, Canvas, Generator, GeneratorConfig, Site
from where2edit.ops.haar import inverse_haar
from where2edit.ops.layers import pixel_norm

CHANNELS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64}  # written at each resolution
KIND = "mobilestylegan"  # of the safetensors
MAPPING_LAYERS = 8
SLOPE = 0.2  # of every leaky ReLU
FOLDS_FROM = 128  # px from which on the style is folded into depthwise kernels
MEAN_SAMPLES = 4096  # mapped samples behind w_mean, as in StyleGAN2


class Modulated(nn.Module):
    """The parameters of one site: the affine w -> style, and the folded convolution (none for an `up` site)."""

    def __init__(self, width: int, channels: int | None = None, depthwise: bool = True, resolution: int | None = None):
        super().__init__()
        self.register_buffer("style_weight", torch.empty(width, LATENT))
        self.register_buffer("style_bias", torch.empty(width))
        if channels is None:
            return
        kernel = 1 if depthwise or resolution is None else 3
        self.folds = (resolution or 0) >= FOLDS_FROM
        if depthwise and resolution is not None:
            self.register_buffer("depthwise", torch.empty(width, 1, 3, 3))
        self.register_buffer("weight", torch.empty(channels, width, kernel, kernel))
        self.register_buffer("bias", torch.empty(channels))
        if resolution is not None:
            self.register_buffer("noise", torch.empty(resolution, resolution))

    def affine(self, w: Tensor) -> Tensor:
        """w [B,512] -> style [B,width]."""
        return F.linear(w, self.style_weight, self.style_bias)

    def convolve(self, canvas: Canvas, style: Tensor, dtype: torch.dtype) -> Tensor:
        """The folded convolution of a canvas's features times the style [B,C]; noise and leaky ReLU follow, if any.

        Where a canvas is large and depthwise convolution comes first, the style goes into its kernel, sample by
        sample: a CPU is bound by memory there. Elsewhere it multiplies the features. dtype: in which it computes.
        """
        x, groups = canvas.features.to(dtype), style.shape[1]
        if hasattr(self, "depthwise") and self.folds and not x.is_cuda:
            kernels = (self.depthwise * style[:, :, None, None, None]).to(dtype)  # [B,C,1,3,3]
            each = [F.conv2d(x[i : i + 1], kernels[i], padding=1, groups=groups) for i in range(len(x))]
            x = each[0] if len(each) == 1 else torch.cat(each)
        else:
            x = x * style[:, :, None, None].to(dtype)
            x = F.conv2d(x, self.depthwise.to(dtype), padding=1, groups=groups) if hasattr(self, "depthwise") else x
        x = F.conv2d(x, self.weight.to(dtype), self.bias.to(dtype), padding=self.weight.shape[-1] // 2)
        return F.leaky_relu_(x.add_(canvas.own(self.noise).to(dtype)), SLOPE) if hasattr(self, "noise") else x


def _sites() -> tuple[Site, ...]:
    """The 23 sites in the order in which they run: at each resolution an enlargement and two convolutions."""
    sites = [Site(4, "conv1", CHANNELS[4], CHANNELS[4], up=1, spread=1)]
    for r, channels in list(CHANNELS.items())[1:]:
        wide = CHANNELS[r // 2]
        sites += [
            Site(r, "up", wide, wide // 4, up=2, spread=0),
            Site(r, "conv0", wide // 4, channels, up=1, spread=1),
            Site(r, "conv1", channels, channels, up=1, spread=1),
        ]
    return (*sites, Site(1024, "rgb", 64, 3, up=2, spread=0))


class MobileStyleGAN(Generator):
    """1024 px faces; 23 sites, one w code each. Weights: `MobileStyleGAN.load()` fetches, checks and converts them."""

    name = "mobilestylegan"
    resolution = 1024

    def __init__(self):
        super().__init__()
        self.sites = _sites()
        self.num_w = len(self.sites)
        self.register_buffer("w_mean", torch.zeros(LATENT))
        self.register_buffer("constant", torch.empty(1, CHANNELS[4], 4, 4))
        self.register_buffer("mapping_weight", torch.empty(MAPPING_LAYERS, LATENT, LATENT))
        self.register_buffer("mapping_bias", torch.empty(MAPPING_LAYERS, LATENT))
        self.blocks = nn.ModuleDict({site.name.replace(".", "_"): _module(site) for site in self.sites})
        self._index = {site.name: i for i, site in enumerate(self.sites)}

    @classmethod
    def load(cls, path: str | Path | None = None) -> MobileStyleGAN:
        """The frozen generator from our safetensors at `path`, or from the assets, converted once into the cache."""
        path = path or converted()
        generator, state = cls(), tensorfile.read(path, KIND)[0]
        generator.load_state_dict(fitted(state, generator.state_dict(), path, cls.name))
        return generator.freeze()

    def mapping(self, z: Tensor) -> Tensor:
        x = pixel_norm(z)
        for weight, bias in zip(self.mapping_weight, self.mapping_bias, strict=True):
            x = F.leaky_relu(F.linear(x, weight, bias), SLOPE) * math.sqrt(2)
        return x

    def w_index(self, site: Site) -> int:
        return self._index[site.name]

    def affine(self, site: Site, w: Tensor) -> Tensor:
        return self._block(site).affine(w)

    def on_flat_area(self, site: Site) -> tuple[Tensor, Tensor]:
        """What a convolution does where its input is constant: weight [O,C] and bias [O], noise averaged.

        The read-out gives the low-pass band of its inverse Haar transform only: [3,C].
        """
        block = self._block(site)
        weight, bias = block.weight[:, :, 0, 0], block.bias
        if site.rgb:
            return 0.5 * weight[: site.channels], 0.5 * bias[: site.channels]
        return weight * block.depthwise.sum((1, 2, 3)), bias + block.noise.mean()

    def _block(self, site: Site) -> Modulated:
        """The parameters of a site."""
        return self.blocks[site.name.replace(".", "_")]

    def start(self, batch: int) -> Canvas:
        return Canvas(self.constant.expand(batch, -1, -1, -1))

    def step(self, site: Site, canvas: Canvas, style: Tensor) -> Canvas:
        dtype = self.dtype(site)
        if site.role == "up":
            x = canvas.features.to(dtype) * style[:, :, None, None].to(dtype)
            return canvas.rewrite(site, inverse_haar(x, site.channels))
        x = self._block(site).convolve(canvas, style, dtype)
        return canvas.rewrite(site, inverse_haar(x.to(self.w_mean), site.channels) if site.rgb else x)

    def image(self, canvas: Canvas) -> Tensor:
        return canvas.rgb


@GENERATORS.register("mobilestylegan")
def mobilestylegan(config: GeneratorConfig = GeneratorConfig(), options: NoOptions = NoOptions()) -> MobileStyleGAN:
    """The frozen generator of a config; `weights` is a path of our safetensors, None fetches and converts the asset.

    It has no options: its images are always of 1024 px.
    """
    return MobileStyleGAN.load(config.weights)


def _module(site: Site) -> Modulated:
    """The parameters of a site, empty."""
    if site.role == "up":
        return Modulated(site.width)
    if site.rgb:
        return Modulated(site.width, 4 * site.channels)
    return Modulated(site.width, site.channels, depthwise=site.resolution > 4, resolution=site.resolution)


def converted() -> Path:
    """The generator as safetensors in the cache folder; converted from the IR on first use.

    It is converted again when the file is damaged or from before checksums were kept.
    """
    path = assets.cache_folder() / "converted" / "mobilestylegan-ffhq-1024.safetensors"
    if not tensorfile.intact(path, KIND):
        parts = [assets.fetch(f"mobilestylegan-{part}") for part in ("mapping-xml", "mapping-bin")]
        mapping = Graph(*parts)
        synthesis = Graph(*(assets.fetch(f"mobilestylegan-{part}") for part in ("synthesis-xml", "synthesis-bin")))
        tensorfile.write(path, from_ir(mapping, synthesis), KIND, {"source": "OpenVINO IR, fp32", "seed": "0"})
    return path


def from_ir(mapping: Graph, synthesis: Graph) -> dict[str, Tensor]:
    """The state dict of MobileStyleGAN from the two IR graphs, with w_mean over MEAN_SAMPLES samples of seed 0."""
    layers = [node for node, kind in mapping.kinds.items() if kind == "MatMul"]
    state = {
        "constant": torch.from_numpy(synthesis.named("m.input.input")),
        "mapping_weight": torch.stack([torch.from_numpy(mapping.operand(node)) for node in layers]),
        "mapping_bias": torch.stack([torch.from_numpy(_mapping_bias(mapping, node)) for node in layers]),
    }
    for site in _sites():
        tensors = _site_tensors(synthesis, site)
        state |= {f"blocks.{site.name.replace('.', '_')}.{key}": value for key, value in tensors.items()}
    generator = MobileStyleGAN()
    generator.load_state_dict({"w_mean": torch.zeros(LATENT), **state})
    z = torch.randn(MEAN_SAMPLES, LATENT, generator=torch.Generator().manual_seed(0))
    return {"w_mean": generator.mapping(z).mean(0), **state}


def _mapping_bias(graph: Graph, matmul: str) -> object:
    """The bias reaches its Add through a Reshape, so that it is looked up from the Add."""
    add = graph.next(matmul, "Add")
    reshape = next(i for i in graph.inputs[add] if graph.kinds[i] == "Reshape")
    return next(graph.constants[i] for i in graph.inputs[reshape] if i in graph.constants)


def _site_tensors(graph: Graph, site: Site) -> dict[str, Tensor]:
    """The constants of one site under the names of `Modulated`, style scale folded into the affine."""
    role, block = site.role, int(math.log2(site.resolution)) - 3
    stem = {"up": f"m.layers.{block}.up", "rgb": f"m.layers.{block - 1}.to_img.conv"}.get(role)
    if stem is None:
        stem = "m.conv1.conv" if block < 0 else f"m.layers.{block}.conv{int(role[-1]) + 1}.conv"
    weight, bias = graph.named(f"{stem}.modulation.weight"), graph.named(f"{stem}.modulation.bias").reshape(-1)
    if role == "up":
        return {"style_weight": torch.from_numpy(weight), "style_bias": torch.from_numpy(bias)}
    reshape = graph.next(graph.ids[f"{stem}.modulation.bias"], "Reshape")
    scale = graph.operand(graph.next(reshape, "Multiply")).item()
    tensors = {"style_weight": weight * scale, "style_bias": bias * scale}
    bias_name = f"{stem.removesuffix('.conv')}.bias"
    if role == "rgb":
        tensors |= {"weight": graph.named(f"{stem}.weight")}
    else:
        multiply = graph.next(graph.ids[f"{stem}.modulation.bias"], "Multiply")
        if block >= 0:
            tensors["depthwise"] = graph.named(f"{stem}.weight_dw")[:, 0]
            multiply = graph.next(graph.ids[f"{stem}.weight_dw"], "GroupConvolution")
        convolution = graph.next(multiply, "Convolution")
        noise = graph.operand(graph.next(convolution, "Add"))
        tensors |= {"weight": graph.operand(convolution), "noise": noise[0, 0]}
    tensors["bias"] = graph.named(bias_name).reshape(-1)
    return {name: torch.from_numpy(value.copy()) for name, value in tensors.items()}
