"""facetext: a small text-image encoder for faces, trained by scripts/train_facetext.py and shipped with the code.

It knows faces and nothing else, and it is not CLIP: every figure that was obtained with it must say `facetext`. Trained
on CelebA and on generated faces, for non-commercial research only (pretrained_models/facetext.md).

Legend: N prompts, B images of H x W or s x s pixels, D = 256, F numbers of MiniLM's features.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.efficientnet_lite import MIDDLE_WIDTH, WIDTH, EfficientNetLite0
from where2edit.backbones.preprocess import Normalise, load_strictly, resize
from where2edit.core.registry import NoOptions
from where2edit.files import manifest, tensorfile
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.base import TextImage, TextImageConfig
from where2edit.text_image.minilm import MAX_TOKENS, MiniLM
from where2edit.text_image.minilm import WIDTH as TEXT_WIDTH

SIZE = 112  # pixels that the image tower reads
TEXT_LAYERS = (2, 4, 6)  # of MiniLM; an early layer tells "a hat" from "no hat"
DIM = 256  # D
MOST_DIM = 4096  # of a file
HIDDEN = 512  # width between the text head's two layers
GAIN = 6.0  # enlarges MiniLM's centred features, whose entries have a standard deviation of only 0.03
START_SCALE = 10.0  # of the sigmoid loss, before training
WEIGHTS = "pretrained_models/facetext.safetensors"
KIND = "facetext"  # of the file


class ImageTower(nn.Module):
    """EfficientNet-Lite0, the means of its last two scales, and one linear layer."""

    def __init__(self, dim: int = DIM, size: int = SIZE):
        super().__init__()
        self.size = size
        self.normalise = Normalise()
        self.net = EfficientNetLite0(fused=True)
        self.head = nn.Linear(MIDDLE_WIDTH + WIDTH, dim)

    def features(self, images: Tensor) -> Tensor:
        """Normalised images of the tower's size -> [B,1392]."""
        middle, last = self.net(images.contiguous(memory_format=torch.channels_last))
        return torch.cat([middle.mean((2, 3)), last.mean((2, 3))], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B,3,H,W] in [-1,1], any size -> unit vectors [B,D]."""
        return self.encode(resize(images, self.size))

    def encode(self, images: Tensor) -> Tensor:
        """Images [B,3,s,s] in [-1,1], read at their own size -> unit vectors [B,D]; training starts with small ones."""
        return F.normalize(self.head(self.features(self.normalise(images))), dim=1)


class TextHead(nn.Module):
    """MiniLM's features [N,F] -> unit vectors [N,D]."""

    def __init__(self, features: int, dim: int = DIM, dropout: float = 0.1):
        super().__init__()
        self.inner, self.outer = nn.Linear(features, HIDDEN), nn.Linear(HIDDEN, dim)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("centre", torch.zeros(features))

    def forward(self, features: Tensor) -> Tensor:
        x = self.inner(GAIN * (features - self.centre))
        return F.normalize(self.outer(self.dropout(F.gelu(x))), dim=1)


class FaceText(TextImage):
    """The encoder for use: trained towers and MiniLM, frozen; embeddings have length one."""

    name = "facetext"
    unit_norm = True
    framed_faces = True
    max_tokens = MAX_TOKENS - 2  # a start and an end token stand around the words

    def __init__(self, towers: Towers, words: MiniLM):
        super().__init__()
        self.image_tower, self.text_head, self.words = towers.image_tower, towers.text_head, words
        self.dim = self.image_tower.head.out_features
        self.logit_scale = float(towers.log_scale.detach().exp())
        self.logit_bias = float(towers.bias.detach())
        self.freeze()

    def tokens(self, prompt: str) -> int:
        return self.words.tokens(prompt)

    def encode_text(self, prompts: list[str]) -> Tensor:
        return self.text_head(self.words(prompts))

    def encode_image(self, images: Tensor) -> Tensor:
        return self.image_tower(images)


class Towers(nn.Module):
    """What is trained and shipped: the image tower, the text head, and the scale and bias of the sigmoid loss."""

    def __init__(self, dim: int = DIM):
        super().__init__()
        self.image_tower = ImageTower(dim)
        self.text_head = TextHead(TEXT_WIDTH * len(TEXT_LAYERS), dim)
        self.log_scale = nn.Parameter(torch.tensor(START_SCALE).log())
        self.bias = nn.Parameter(torch.tensor(0.0))

    @classmethod
    def load(cls, path: str | Path) -> Towers:
        """Trained towers in fp32. Raises ValueError for a file that is missing, broken or not facetext's."""
        state, _ = tensorfile.read(path, KIND, "give a file that scripts/train_facetext.py wrote")
        head = state.get("image_tower.head.weight", torch.empty(DIM))
        towers = cls(len(head) if head.ndim and 0 < len(head) <= MOST_DIM else DIM)
        load_strictly(towers, state, str(path))
        return towers


@TEXT_IMAGE.register("facetext")
def facetext(config: TextImageConfig = TextImageConfig(), options: NoOptions = NoOptions()) -> FaceText:
    """The frozen encoder: our shipped weights (or those at `config.weights`) on MiniLM from the assets."""
    path = manifest.found(config.weights or WEIGHTS)
    return FaceText(Towers.load(path), MiniLM.load(TEXT_LAYERS))
