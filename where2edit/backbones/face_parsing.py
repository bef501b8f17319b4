"""BiSeNet with a ResNet-18 trunk: 19 CelebAMask-HQ classes per pixel (Yu et al. 2018, arXiv 1808.00897).

Weights: asset `face-parsing` (79999_iter.pth of face-parsing.PyTorch). CelebAMask-HQ is for non-commercial research.
Legend: B batch, h x w resolution of features. Images are [B,3,H,W] in [-1,1]; the modules are named as in the weight
file.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.preprocess import Normalise, check_images, load_strictly, resize
from where2edit.core.registry import nearest
from where2edit.files import assets
from where2edit.files.formats.readers import read_network

# The classes by number; l_ and r_ are the person's own left and right, u_lip and l_lip the upper and the lower lip.
CLASSES = (
    "background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "glasses", "l_ear", "r_ear", "earring",
    "nose", "mouth", "u_lip", "l_lip", "neck", "necklace", "cloth", "hair", "hat",
)  # fmt: skip

# What prompts and metrics call by one name.
GROUPS: dict[str, tuple[str, ...]] = {
    "background": ("background",),
    "skin": ("skin",),
    "brows": ("l_brow", "r_brow"),
    "eyes": ("l_eye", "r_eye"),
    "glasses": ("glasses",),
    "ears": ("l_ear", "r_ear"),
    "earrings": ("earring",),
    "nose": ("nose",),
    "mouth": ("mouth", "u_lip", "l_lip"),
    "lips": ("u_lip", "l_lip"),
    "neck": ("neck", "necklace"),
    "cloth": ("cloth",),
    "hair": ("hair",),
    "hat": ("hat",),
    "face": ("skin", "l_brow", "r_brow", "l_eye", "r_eye", "glasses", "nose", "mouth", "u_lip", "l_lip"),
}


def class_ids(region: str) -> tuple[int, ...]:
    """The class numbers of a group or class name. Raises ValueError with the nearest known name."""
    names = GROUPS.get(region) or ((region,) if region in CLASSES else None)
    if names is None:
        raise ValueError(f"unknown face region '{region}'; {nearest(region, {*GROUPS, *CLASSES})}")
    return tuple(CLASSES.index(name) for name in names)


def region_mask(labels: Tensor, *regions: str) -> Tensor:
    """True where `labels` [...] is a class of any of the named regions."""
    ids = [i for region in regions for i in class_ids(region)]
    return torch.isin(labels, torch.tensor(ids, device=labels.device, dtype=labels.dtype))


class ConvBNReLU(nn.Module):
    """Convolution, batch normalisation and ReLU at the input's resolution."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(residual + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """The trunk: images -> features at 1/8, 1/16 and 1/32 of the input."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        widths = (64, 64, 128, 256, 512)
        for i in range(1, 5):
            stride = 1 if i == 1 else 2
            blocks = (BasicBlock(widths[i - 1], widths[i], stride), BasicBlock(widths[i], widths[i], 1))
            setattr(self, f"layer{i}", nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        eighth = self.layer2(self.layer1(x))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


class AttentionRefinement(nn.Module):
    """A convolution whose channels are weighed by their own global mean."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = ConvBNReLU(inputs, outputs)
        self.conv_atten = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        weight = self.bn_atten(self.conv_atten(x.mean((2, 3), keepdim=True)))
        return x * weight.sigmoid()


class ContextPath(nn.Module):
    """The trunk and the way back up: images -> (trunk features at 1/8, context at 1/8)."""

    def __init__(self):
        super().__init__()
        self.resnet = ResNet18()
        self.arm16 = AttentionRefinement(256, 128)
        self.arm32 = AttentionRefinement(512, 128)
        self.conv_head32 = ConvBNReLU(128, 128)
        self.conv_head16 = ConvBNReLU(128, 128)
        self.conv_avg = ConvBNReLU(512, 128, kernel=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        eighth, sixteenth, last = self.resnet(x)
        context = self.arm32(last) + self.conv_avg(last.mean((2, 3), keepdim=True))
        context = self.conv_head32(F.interpolate(context, sixteenth.shape[2:]))
        context = self.arm16(sixteenth) + context
        return eighth, self.conv_head16(F.interpolate(context, eighth.shape[2:]))


class FeatureFusion(nn.Module):
    """Joins the trunk's features and the context, both at 1/8."""

    def __init__(self):
        super().__init__()
        self.convblk = ConvBNReLU(256, 256, kernel=1)
        self.conv1 = nn.Conv2d(256, 64, 1, bias=False)
        self.conv2 = nn.Conv2d(64, 256, 1, bias=False)

    def forward(self, spatial: Tensor, context: Tensor) -> Tensor:
        x = self.convblk(torch.cat([spatial, context], 1))
        weight = self.conv2(F.relu(self.conv1(x.mean((2, 3), keepdim=True)))).sigmoid()
        return x * weight + x


class Head(nn.Module):
    """Features [B,inputs,h,w] -> class logits [B,19,h,w]."""

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.conv = ConvBNReLU(inputs, hidden)
        self.conv_out = nn.Conv2d(hidden, len(CLASSES), 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv(x))


class BiSeNet(nn.Module):
    """Normalised images [B,3,H,W], H and W multiples of 32 -> class logits [B,19,H/8,W/8]."""

    def __init__(self):
        super().__init__()
        self.cp = ContextPath()
        self.ffm = FeatureFusion()
        self.conv_out = Head(256, 256)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.ffm(*self.cp(x)))


class FaceParser(nn.Module):
    """Frozen face parsing of images of any size; `size` is the resolution at which the network reads and answers.

    512 is what the network was trained at, and a 256 px image enlarged to it gives 98 % of the pixels the same label.
    At `size=256` the network is five times faster and good for hair, background, neck and cloth only (IoU with 512
    above 0.9): noses, lips and brows get lost (IoU 0.3 to 0.5, over 16 generated faces).
    """

    def __init__(self, size: int = 512):
        super().__init__()
        if size < 64 or size % 32:
            raise ValueError(f"face parsing size must be a multiple of 32, at least 64, got {size}; 512 is the default")
        self.size = size
        self.normalise = Normalise()
        self.net = BiSeNet()
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls, size: int = 512, path: str | Path | None = None) -> FaceParser:
        """The trained parser, from `path` or the asset `face-parsing`. Raises ValueError when the file does not fit."""
        path = assets.fetch("face-parsing") if path is None else path
        state = read_network(path)
        # The two auxiliary heads served training only: every key is either loaded or one of theirs.
        state = {key: value for key, value in state.items() if not key.startswith(("conv_out16.", "conv_out32."))}
        parser = cls(size)
        load_strictly(parser.net, state, str(path))
        return parser

    def train(self, mode: bool = True) -> FaceParser:
        """Stays in evaluation mode whatever the module around it does: the network is frozen."""
        return super().train(False)

    def logits(self, images: Tensor) -> Tensor:
        """Class logits [B,19,size,size], differentiable in `images`."""
        check_images(images, "face parsing")
        logits = self.net(self.normalise(resize(images, self.size)))
        return F.interpolate(logits, (self.size, self.size), mode="bilinear", align_corners=True)

    def probabilities(self, images: Tensor) -> Tensor:
        """Class probabilities [B,19,size,size], which sum to 1 over the classes; differentiable in `images`."""
        return self.logits(images).softmax(1)

    @torch.no_grad()
    def labels(self, images: Tensor) -> Tensor:
        """The likeliest class per pixel: int64 [B,size,size]; names in CLASSES."""
        return self.logits(images).argmax(1)

    @torch.no_grad()
    def mask(self, images: Tensor, *regions: str) -> Tensor:
        """True where a pixel belongs to any of the named regions (GROUPS or CLASSES): bool [B,1,size,size]."""
        return region_mask(self.labels(images), *regions)[:, None]

    def share(self, images: Tensor, *regions: str) -> Tensor:
        """Summed probability of the named regions per pixel: [B,1,size,size] in [0,1], differentiable."""
        ids = [i for region in regions for i in class_ids(region)]
        return self.probabilities(images)[:, ids].sum(1, keepdim=True)
