"""The judge: an attribute classifier that measures edits; no encoder and no editor is trained with it.

A ResNet-18 trunk with a narrow last stage, started from the trunk of the face-parsing network; one logit per concept of
facetext/phrases.py. It shares neither weights nor architecture nor seed with facetext. Trained by
scripts/train_judge.py. For non-commercial research only.

Legend: B images of H x W or s x s pixels (112 at the end of training and in use), C concepts.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.face_parsing import BasicBlock, ResNet18
from where2edit.backbones.preprocess import Normalise, check_images, load_strictly, resize
from where2edit.core.registry import nearest
from where2edit.files import assets, tensorfile
from where2edit.files.formats.readers import read_network

SIZE = 112  # pixels that it reads
DROPOUT = 0.2  # of the features before the last layer, in training
WIDTH = 256  # channels of the last stage, half of ResNet-18's
WEIGHTS = "pretrained_models/judge.safetensors"
KIND = "judge"  # of the file
MOST_NAMES = 1000  # of concepts in a file


class Judge(nn.Module):
    """Images -> logits of named concepts; `names` has one name per output, in order."""

    def __init__(self, names: tuple[str, ...]):
        super().__init__()
        self.names = names
        self.normalise = Normalise()
        self.trunk = ResNet18()
        self.trunk.layer4 = nn.Sequential(BasicBlock(256, WIDTH, 2), BasicBlock(WIDTH, WIDTH, 1))
        self.head = nn.Linear(256 + WIDTH, len(names))

    @classmethod
    def load(cls, path: str | Path | None = None) -> Judge:
        """The shipped judge, or the one at `path`, frozen. Raises ValueError for a file that is no judge's."""
        advice = "give a file that scripts/train_judge.py wrote"
        path = path or assets.shipped(WEIGHTS)
        state, about = tensorfile.read(path, KIND, advice)
        judge = cls(tuple(tensorfile.entry(about, "names", path).split(",")[:MOST_NAMES]))
        load_strictly(judge, state, str(path))
        return judge.eval().requires_grad_(False)

    def encode(self, images: Tensor) -> Tensor:
        """Images [B,3,s,s] in [-1,1], read at their own size -> logits [B,C]."""
        _, middle, last = self.trunk(self.normalise(images))
        return self.head(F.dropout(torch.cat([middle.mean((2, 3)), last.mean((2, 3))], 1), DROPOUT, self.training))

    def forward(self, images: Tensor) -> Tensor:
        """Images [B,3,H,W] in [-1,1], any size -> logits [B,C]."""
        check_images(images, "the judge")
        return self.encode(resize(images, SIZE))

    @torch.no_grad()
    def probability(self, images: Tensor, name: str) -> Tensor:
        """Probability [B] of one concept, such as 'Smiling'. Raises ValueError with the nearest name."""
        if name not in self.names:
            raise ValueError(f"the judge knows no '{name}'; {nearest(name, self.names)}")
        return self(images)[:, self.names.index(name)].sigmoid()


def from_parsing(names: tuple[str, ...], weights: str | Path | None = None) -> Judge:
    """An untrained judge whose first three stages are those of the face-parsing network (asset `face-parsing`)."""
    judge = Judge(names)
    weights = weights or assets.fetch("face-parsing")
    published = read_network(weights)
    stem = "cp.resnet."
    trunk = {k.removeprefix(stem): v for k, v in published.items() if k.startswith(stem) and ".layer4." not in k}
    trunk |= {k: v for k, v in judge.trunk.state_dict().items() if k.startswith("layer4.")}
    load_strictly(judge.trunk, trunk, "face-parsing")
    return judge
