"""FaceNet identity embeddings, the paper's ID (Schroff et al. 2015): Inception-ResNet-v1 in plain torch.

Weights: asset `facenet-graph` (20180408-102900, CASIA-WebFace, frozen TensorFlow graph) or `facenet-vggface2`
(facenet-pytorch's 20180402-114759). The architecture is facenet-pytorch's. Legend: B batch; images are [B,3,H,W] in
[-1,1].
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from where2edit.backbones.alignment import FFHQ_BOX, box_transform, check_mode, crop
from where2edit.backbones.preprocess import check_images, load_strictly, resize
from where2edit.backbones.scrfd import FaceDetector
from where2edit.core.registry import nearest
from where2edit.files import assets, formats
from where2edit.files.formats.protobuf import read_frozen_graph

SIZE = 160
MARGIN = 160 / 138  # The training crops: face boxes at 138 of 182 px, of which the middle 160 are read.
EPSILON = 0.001  # of facenet-pytorch's batch norms: a variance of 1 - EPSILON makes one the identity
ASSETS = {"casia": "facenet-graph", "vggface2": "facenet-vggface2"}

# Names of the graph's scopes -> names of facenet-pytorch's modules.
_STEM_NAMES = ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3", "4b_3x3")
_STEM = {f"Conv2d_{name}": f"conv2d_{name.split('_')[0]}" for name in _STEM_NAMES}
_REPEATS = {
    "Repeat/block35_{}": ("repeat_1.{}", 5, ("", "0a_1x1 0b_3x3", "0a_1x1 0b_3x3 0c_3x3")),
    "Repeat_1/block17_{}": ("repeat_2.{}", 10, ("", "0a_1x1 0b_1x7 0c_7x1")),
    "Repeat_2/block8_{}": ("repeat_3.{}", 5, ("", "0a_1x1 0b_1x3 0c_3x1")),
}
_LAST = ("", "0a_1x1 0b_1x3 0c_3x1")
_MIXED = {
    "Mixed_6a": ("mixed_6a", ("1a_3x3", "0a_1x1 0b_3x3 1a_3x3")),
    "Mixed_7a": ("mixed_7a", ("0a_1x1 1a_3x3", "0a_1x1 1a_3x3", "0a_1x1 0b_3x3 1a_3x3")),
}


def _convolutions() -> dict[str, str]:
    """Scope of every convolution that is followed by a batch norm -> its module."""
    table = dict(_STEM)
    blocks = {s.format(i + 1): (m.format(i), b) for s, (m, n, b) in _REPEATS.items() for i in range(n)}
    for scope, (module, branches) in (blocks | _MIXED | {"Block8": ("block8", _LAST)}).items():
        for i, branch in enumerate(branches):
            names = [f"Conv2d_{name}" for name in branch.split()] or ["Conv2d_1x1"]
            single = len(names) == 1
            for j, name in enumerate(names):
                table[f"{scope}/Branch_{i}/{name}"] = f"{module}.branch{i}" + ("" if single else f".{j}")
    return table


def state_from_graph(constants: dict, net: nn.Module) -> dict[str, Tensor]:
    """The frozen graph's constants under facenet-pytorch's names. Raises ValueError when a weight is left over.

    The graph has batch norm folded into the convolutions; the module's own becomes the identity plus the offset.
    """
    root = "InceptionResnetV1/"
    left = {name.removeprefix(root): value for name, value in constants.items() if name.startswith(root)}
    state = {k: torch.zeros_like(v) for k, v in net.state_dict().items() if k.endswith("num_batches_tracked")}

    def take(name: str) -> Tensor:
        if name not in left:
            raise ValueError(f"the FaceNet graph has no constant '{root}{name}'; it is not the expected network")
        return torch.from_numpy(left.pop(name).copy())

    for scope, module in _convolutions().items():
        offset = take(f"{scope}/Conv2D_bn_offset")
        state |= {f"{module}.conv.weight": take(f"{scope}/weights").permute(3, 2, 0, 1).contiguous()}
        state |= _batch_norm(f"{module}.bn", offset, torch.zeros_like(offset), torch.full_like(offset, 1 - EPSILON))
    blocks = [(s.format(i + 1), m.format(i)) for s, (m, n, _) in _REPEATS.items() for i in range(n)]
    for scope, module in [*blocks, ("Block8", "block8")]:
        state[f"{module}.conv2d.weight"] = take(f"{scope}/Conv2d_1x1/weights").permute(3, 2, 0, 1).contiguous()
        state[f"{module}.conv2d.bias"] = take(f"{scope}/Conv2d_1x1/biases")
    state["last_linear.weight"] = take("Bottleneck/weights").T.contiguous()
    norm = [take(f"Bottleneck/BatchNorm/{name}") for name in ("beta", "moving_mean", "moving_variance")]
    state |= _batch_norm("last_bn", *norm)
    unused = [name for name, value in left.items() if value.size > 16 and not name.endswith("BatchNorm/Const")]
    if unused:
        raise ValueError(f"the FaceNet graph has weights that no layer takes: {unused[:3]}; it is another network")
    return state


def _batch_norm(module: str, offset: Tensor, mean: Tensor, var: Tensor) -> dict[str, Tensor]:
    """The tensors of a batch norm with weight 1, under the module's name."""
    values = {"weight": torch.ones_like(offset), "bias": offset, "running_mean": mean, "running_var": var}
    return {f"{module}.{name}": value for name, value in values.items()}


class FaceNet(nn.Module):
    """Frozen identity embeddings of faces; `align` as in ArcFace, with a face box instead of landmarks."""

    def __init__(self, align: str = "ffhq", detector: FaceDetector | None = None):
        super().__init__()
        from facenet_pytorch import InceptionResnetV1

        self.align = check_mode(align)
        self.detector = detector or (FaceDetector.load() if align == "detect" else None)
        self.net = InceptionResnetV1()
        self.register_buffer("ffhq", torch.tensor([FFHQ_BOX]), persistent=False)
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls, weights: str = "casia", align: str = "ffhq", path: str | Path | None = None) -> FaceNet:
        """FaceNet with the weights "casia" (from the package registry) or "vggface2" (official address).

        `path` replaces the asset. Raises ValueError for other weights and for a file that does not fit.
        """
        if weights not in ASSETS:
            raise ValueError(f"FaceNet weights '{weights}'; {nearest(weights, ASSETS)}")
        model = cls(align)
        if weights == "casia":
            state = state_from_graph(read_frozen_graph(path or assets.fetch(ASSETS[weights])), model.net)
        else:
            state, _ = formats.load("facenet", path)
        load_strictly(model.net, state, str(path or ASSETS[weights]))
        return model

    def train(self, mode: bool = True) -> FaceNet:
        """Stays in evaluation mode whatever the module around it does: the network is frozen."""
        return super().train(False)

    def crop(self, images: Tensor) -> Tensor:
        """The crops [B,3,160,160] that the network reads: face box and margin, stretched to a square as in training."""
        check_images(images, "FaceNet")
        if self.align == "none":
            return resize(images, SIZE)
        box = self.ffhq if self.align == "ffhq" else self.detector(images)[1]
        return crop(images, box_transform(box, MARGIN), SIZE)

    def forward(self, images: Tensor) -> Tensor:
        """Unit embeddings [B,512], whose dot product is the identity similarity; differentiable in `images`."""
        # The training standardisation is (x - 127.5) / 128 on 0..255.
        return self.net(self.crop(images) * (127.5 / 128))
