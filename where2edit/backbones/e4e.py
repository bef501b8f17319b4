"""e4e: the encoder from a photo to the W+ codes of StyleGAN2-FFHQ (Tov et al. 2021, arXiv 2102.02766).

One code is read from the coarsest features and repeated; every further code adds its own offset, the first from
coarse, the next from middle, the rest from fine features of a pyramid. Weights: asset `e4e-ffhq` (non-commercial
research only).

Legend: B batch, L codes, C channels, r resolution of the features that a head reads, H x W pixels.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.ir_se50 import IRSE50, WIDTHS
from where2edit.backbones.preprocess import check_images, load_strictly, resize
from where2edit.files import formats
from where2edit.ops.layers import EqualLinear

SIZE = 256  # pixels that the encoder reads
COARSE, MIDDLE = 3, 7  # codes before these read coarse and middle features, the rest fine ones


def code_resolution(index: int) -> int:
    """Resolution of the features that code `index` is read from."""
    return SIZE // 16 if index < COARSE else SIZE // 8 if index < MIDDLE else SIZE // 4


class CodeHead(nn.Module):
    """Strided convolutions down to one pixel, then an equalised linear layer: [B,C,r,r] -> [B,C]."""

    def __init__(self, channels: int, resolution: int):
        super().__init__()
        halvings = int(math.log2(resolution))
        layers = [(nn.Conv2d(channels, channels, 3, 2, 1), nn.LeakyReLU()) for _ in range(halvings)]
        self.convs = nn.Sequential(*(layer for pair in layers for layer in pair))
        self.linear = EqualLinear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.convs(x).flatten(1))


class E4E(IRSE50):
    """The frozen inversion encoder. Photos must be framed like FFHQ, since no face is detected."""

    latent_avg: Tensor

    def __init__(self, codes: int = 18, widths: tuple[int, ...] = WIDTHS):
        super().__init__(widths)
        channels = widths[-1]
        self.styles = nn.ModuleList(CodeHead(channels, code_resolution(i)) for i in range(codes))
        self.latlayer1 = nn.Conv2d(widths[2], channels, 1)
        self.latlayer2 = nn.Conv2d(widths[1], channels, 1)
        self.register_buffer("latent_avg", torch.zeros(codes, channels))
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls, path: str | Path | None = None) -> E4E:
        """The trained encoder from converted safetensors or the official file; None: the asset `e4e-ffhq`."""
        state, metadata = formats.load("e4e", path)
        origin = path or "asset e4e-ffhq"
        codes, widths = (formats.numbers(metadata, key, origin) for key in ("codes", "widths"))
        with torch.device("meta"):
            encoder = cls(codes[0], widths)
        load_strictly(encoder, state, str(origin))
        return encoder

    def train(self, mode: bool = True) -> E4E:
        """Stays in evaluation mode whatever the module around it does: the network is frozen."""
        return super().train(False)

    def pyramid(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Coarse, middle and fine features [B,C,.,.] at 16, 32 and 64 px: each adds the coarser one, enlarged."""
        _, quarter, eighth, coarse = self.stages(images)
        middle = _enlarge(coarse, eighth) + self.latlayer1(eighth)
        return coarse, middle, _enlarge(middle, quarter) + self.latlayer2(quarter)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B,3,H,W] in [-1,1], brought to 256 px -> w [B,L,512]."""
        check_images(images, "e4e")
        coarse, middle, fine = self.pyramid(resize(images, SIZE))
        features = {SIZE // 16: coarse, SIZE // 8: middle, SIZE // 4: fine}
        read = [head(features[code_resolution(i)]) for i, head in enumerate(self.styles)]
        offsets = torch.stack([torch.zeros_like(read[0]), *read[1:]], dim=1)
        return self.latent_avg + read[0][:, None] + offsets


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    """x at the resolution of `like`, bilinearly."""
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=True)
