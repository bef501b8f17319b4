"""ArcFace IR-SE50: the identity network of the released evaluation code (the paper's own ID is FaceNet).

Weights: asset `arcface-ir-se50` (model_ir_se50.pth; non-commercial research only). Legend: B batch; images are
[B,3,H,W] in [-1,1], framed like FFHQ.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.ir_se50 import IRSE50, WIDTHS
from where2edit.backbones.preprocess import check_images, load_strictly
from where2edit.files import formats

FRAME = 256  # pixels at which the crop is defined
CROP = (35, 223, 32, 220)  # rows from, to, columns from, to (the ends excluded)
SIZE = 112


class ArcFaceIRSE50(IRSE50):
    """Frozen identity embeddings of faces under the fixed crop of the released code, without landmarks."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS):
        super().__init__(widths)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(widths[-1]),
            nn.Dropout(0.6),
            nn.Flatten(),
            nn.Linear(widths[-1] * (SIZE // 16) ** 2, 512),
            nn.BatchNorm1d(512),
        )
        self.register_buffer("box", torch.tensor(CROP), persistent=False)
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls, path: str | Path | None = None) -> ArcFaceIRSE50:
        """The trained network from converted safetensors or the official file; None: the asset `arcface-ir-se50`."""
        state, metadata = formats.load("arcface-ir-se50", path)
        origin = path or "asset arcface-ir-se50"
        net = cls(formats.numbers(metadata, "widths", origin))
        load_strictly(net, state, str(origin))
        return net

    def train(self, mode: bool = True) -> ArcFaceIRSE50:
        """Stays in evaluation mode whatever the module around it does: the network is frozen."""
        return super().train(False)

    def crop(self, images: Tensor) -> Tensor:
        """The crops [B,3,112,112] that the network reads: average pooling to 256, the box, and again to 112."""
        check_images(images, "ArcFace IR-SE50")
        if images.shape[-2:] != (FRAME, FRAME):
            images = F.adaptive_avg_pool2d(images, FRAME)
        top, bottom, left, right = self.box.tolist()
        return F.adaptive_avg_pool2d(images[..., top:bottom, left:right], SIZE)

    def forward(self, images: Tensor) -> Tensor:
        """Unit embeddings [B,512]; their dot product is the identity similarity in [-1,1]."""
        return F.normalize(self.output_layer(self.stages(self.crop(images))[-1]), dim=1)
