"""The Inception network of the original FID (TensorFlow's inception-2015-12-05; Heusel et al. 2017), as TorchScript.

Weights: asset `inception-fid`. The graph ends at the 2048 numbers of `pool_3` and has no classifier, so that the
Inception Score needs the classifier's matrix from another file (`InceptionLogits`). Legend: B batch; images are
[B,3,H,W] in [-1,1].
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from where2edit.backbones.preprocess import check_images
from where2edit.files import assets
from where2edit.files.formats.readers import read_network
from where2edit.files.regular import shown
from where2edit.files.tensor_checks import checked

SIZE = 299


def tensorflow_resize(images: Tensor, size: int = SIZE) -> Tensor:
    """TensorFlow 1's bilinear resize: output i reads position i * H / size, without half-pixel shift or antialiasing.

    FID is only comparable when this is done exactly; torch's own resize gives other features.
    """
    rows, columns = (_tensorflow_weights(n, size, images) for n in images.shape[-2:])
    return rows @ images @ columns.T


def _tensorflow_weights(inputs: int, outputs: int, like: Tensor) -> Tensor:
    """[outputs,inputs] bilinear weights, computed in float32 as TensorFlow does."""
    position = torch.arange(outputs, dtype=torch.float32) * torch.tensor(inputs / outputs, dtype=torch.float32)
    low = position.long()
    fraction = (position - low)[:, None]
    one = torch.eye(inputs)
    return ((1 - fraction) * one[low] + fraction * one[(low + 1).clamp(max=inputs - 1)]).to(like)


def quantise(images: Tensor) -> Tensor:
    """Images in [-1,1] -> the numbers 0..255 that a PNG of them would hold, as floats."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round()


class Inception(nn.Module):
    """Frozen FID features of images, which are rounded to 8 bits first: FID compares image files, not tensors."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net.eval()
        self.requires_grad_(False)

    @classmethod
    def load(cls, path: str | Path | None = None) -> Inception:
        """The network from `path` or the asset `inception-fid`. Raises ValueError when the file is not TorchScript."""
        path = assets.fetch("inception-fid") if path is None else path
        try:
            return cls(torch.jit.load(str(path), map_location="cpu"))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"{path} is not a TorchScript file ({reason}); delete it and download it again") from None

    def train(self, mode: bool = True) -> Inception:
        """Stays in evaluation mode whatever the module around it does: the network is frozen."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """pool_3 features [B,2048], each >= 0."""
        check_images(images, "the FID network")
        return self.net((tensorflow_resize(quantise(images).float()) - 128) / 128)


class InceptionLogits(nn.Module):
    """pool_3 features [B,2048] -> the 1008 logits (without bias) that the Inception Score reads."""

    def __init__(self, weight: Tensor):
        super().__init__()
        if weight.shape != (1008, 2048):
            raise ValueError(f"the Inception classifier is [1008,2048], got {list(weight.shape)}")
        self.register_buffer("weight", weight)

    @classmethod
    def load(cls, path: str | Path) -> InceptionLogits:
        """The classifier's matrix, `fc.weight` of torch-fidelity's weights-inception-2015-12-05-6726825d.pth.

        No package carries that file. Raises ValueError where it is missing or its shape does not fit.
        """
        if not Path(path).is_file():
            raise ValueError(
                f"no Inception classifier at {path}: the Inception Score needs "
                "weights-inception-2015-12-05-6726825d.pth from github.com/toshas/torch-fidelity/releases; "
                "every other metric works without it"
            )
        state = read_network(path)
        if "fc.weight" not in state:
            raise ValueError(f"{shown(path)} has no 'fc.weight'; give weights-inception-2015-12-05-6726825d.pth")
        return cls(checked(state["fc.weight"], "fc.weight", path).float())

    def forward(self, features: Tensor) -> Tensor:
        return features @ self.weight.T
