"""VGG16 features and the LPIPS distance (Simonyan 2015; Zhang et al. 2018, arXiv 1801.03924, version 0.1 heads).

Weights: asset `vgg16-lpips` (torchvision's ImageNet convolutions and the heads of lpips 0.1).

Legend: B batch, C channels and h x w resolution of a layer. Images are [B,3,H,W] in [-1,1].
"""

from __future__ import annotations

import itertools
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.preprocess import Normalise, area_resize, check_images, load_strictly, resize
from where2edit.core.registry import nearest
from where2edit.files import assets
from where2edit.files.formats import safe_pickle
from where2edit.files.formats.pickled_arrays import numpy_makers

WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
LAYERS = tuple(f"relu{i}_{j}" for i, block in enumerate(WIDTHS, 1) for j in range(1, len(block) + 1))
LPIPS_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")


def _weights(path: str | Path | None) -> dict[str, Tensor]:
    """The asset's arrays as torch tensors in OIHW layout: convN.weight, convN.bias, headN.weight."""
    path = assets.fetch("vgg16-lpips") if path is None else path
    state = {}
    for group, layers in safe_pickle.load(path, numpy_makers()).items():
        for layer, arrays in (layers if group == "VGG16_0" else {group: layers["Conv_0"]}).items():
            name = ("conv" if group == "VGG16_0" else "head") + layer.rsplit("_", 1)[1]
            state[f"{name}.weight"] = torch.from_numpy(arrays["kernel"]).permute(3, 2, 0, 1).contiguous()
            if "bias" in arrays:
                state[f"{name}.bias"] = torch.from_numpy(arrays["bias"])
    return state


class VGG16(nn.Module):
    """The frozen convolutional part of VGG16. It does not normalise its input; callers do."""

    def __init__(self):
        super().__init__()
        widths = [3, *(width for block in WIDTHS for width in block)]
        for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            setattr(self, f"conv{i}", nn.Conv2d(inputs, outputs, 3, padding=1))
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls, path: str | Path | None = None) -> VGG16:
        """The ImageNet weights from `path` or the asset `vgg16-lpips`. Raises ValueError when they do not fit."""
        net = cls()
        load_strictly(net, {k: v for k, v in _weights(path).items() if k.startswith("conv")}, "vgg16-lpips")
        return net

    def forward(self, x: Tensor, layers: tuple[str, ...] = LPIPS_LAYERS) -> dict[str, Tensor]:
        """Activations [B,C,h,w] by layer name ("relu2_2"); nothing past the last wanted layer is computed.

        Raises ValueError for an unknown layer.
        """
        for name in layers:
            if name not in LAYERS:
                raise ValueError(f"VGG16 has no layer '{name}'; {nearest(name, LAYERS)}")
        found = {}
        for i, name in enumerate(LAYERS[: max(map(LAYERS.index, layers)) + 1]):
            if i and name.endswith("_1"):
                x = F.max_pool2d(x, 2)
            x = F.relu(getattr(self, f"conv{i}")(x))
            if name in layers:
                found[name] = x
        return found


class PerceptualFeatures(nn.Module):
    """relu2_2 of images averaged down to 224 x 224: the features under L_perc (Eq. 7).

    `normalise=False` feeds [-1,1] as the released code does; True applies ImageNet's mean and deviation. Images of any
    size are averaged exactly (cut pixels count by their share), as the released code's x7 enlargement and pooling do.
    """

    def __init__(self, vgg: VGG16, layer: str = "relu2_2", size: int = 224, normalise: bool = False):
        super().__init__()
        self.vgg, self.layer, self.size = vgg, layer, size
        self.normalise = Normalise() if normalise else nn.Identity()

    @classmethod
    def load(cls, **options) -> PerceptualFeatures:
        """The features of the trained VGG16 (asset `vgg16-lpips`); `options` as in the constructor."""
        return cls(VGG16.load(), **options)

    def forward(self, images: Tensor) -> Tensor:
        """Features [B,128,112,112] at the defaults; differentiable in `images`."""
        check_images(images, "the perceptual features")
        return self.vgg(self.normalise(area_resize(images, self.size)), (self.layer,))[self.layer]


class LPIPS(nn.Module):
    """Learned perceptual distance with VGG16, equal to `lpips.LPIPS(net="vgg", version="0.1")`.

    `size` resizes both images first (bilinear, antialiased); None compares them as they are.
    """

    def __init__(self, size: int | None = None):
        super().__init__()
        self.size = size
        self.vgg = VGG16()
        # The ImageNet constants as LPIPS states them for [-1,1]: (x - (-.030, -.088, -.188)) / (.458, .448, .450).
        self.normalise = Normalise()
        for i, name in enumerate(LPIPS_LAYERS):
            setattr(self, f"head{i}", nn.Conv2d(WIDTHS[int(name[4]) - 1][-1], 1, 1, bias=False))
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls, size: int | None = None, path: str | Path | None = None) -> LPIPS:
        """The trained distance from `path` or the asset `vgg16-lpips`. Raises ValueError when the file does not fit."""
        net = cls(size)
        state = {f"vgg.{k}" if k.startswith("conv") else k: v for k, v in _weights(path).items()}
        load_strictly(net, state, "vgg16-lpips")
        return net

    def layers(self, a: Tensor, b: Tensor) -> list[Tensor]:
        """The distance map [B,1,h,w] of each of the five layers, before averaging."""
        if a.shape != b.shape:
            raise ValueError(f"LPIPS compares images of one shape, got {list(a.shape)} and {list(b.shape)}")
        return self.between(self.features(a), self.features(b))

    def features(self, images: Tensor) -> list[Tensor]:
        """The features [B,C,h,w] of the five layers, at unit length in every pixel, which `between` compares."""
        check_images(images, "LPIPS")
        if self.size is not None:
            images = resize(images, self.size)
        return [_unit(x) for x in self.vgg(self.normalise(images)).values()]

    def between(self, a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
        """The distance map [B,1,h,w] of each of the five layers, of images with these `features`."""
        return [getattr(self, f"head{i}")((x - y) ** 2) for i, (x, y) in enumerate(zip(a, b, strict=True))]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance [B] >= 0 between images a and b, 0 for equal images; differentiable in both."""
        return sum(layer.mean((1, 2, 3)) for layer in self.layers(a, b))

    def map(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance per pixel [B,1,H,W]: the five layers enlarged bilinearly to the image and added up."""
        maps = self.layers(a, b)
        return sum(F.interpolate(m, a.shape[2:], mode="bilinear", align_corners=False) for m in maps)


def _unit(x: Tensor) -> Tensor:
    """x [B,C,h,w] with the channel vector of each pixel at length 1."""
    return x / (x.square().sum(1, keepdim=True) + 1e-8).sqrt()
