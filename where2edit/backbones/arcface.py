"""ArcFace identity embeddings: MobileFaceNet on WebFace600K (Deng et al. 2019, arXiv 1801.07698), in plain torch.

Weights: asset `arcface-mbf` (InsightFace buffalo_s; non-commercial research only). The ONNX file is read node by node,
so that the network is differentiable and runs wherever torch does.

Legend: B batch. Images are [B,3,H,W] in [-1,1].
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.alignment import FFHQ_LANDMARKS, check_mode, crop, similarity
from where2edit.backbones.preprocess import check_images, resize
from where2edit.backbones.scrfd import FaceDetector
from where2edit.files import assets
from where2edit.files.formats.protobuf import Node, read_onnx

SIZE = 112
# InsightFace's positions of eyes, nose and mouth corners in the 112 px crop.
TEMPLATE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))


def _convolution(node: Node, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The node Conv; uneven padding is done beforehand, because torch pads both sides alike."""
    top, left, bottom, right = node.attributes["pads"]
    if (top, left) != (bottom, right):
        x, top, left = F.pad(x, (left, right, top, bottom)), 0, 0
    return F.conv2d(x, weight, bias, node.attributes["strides"], (top, left), 1, node.attributes["group"][0])


# The six operations of the graph; each takes its node, the running tensor and its constants (or a second tensor).
_OPERATIONS = {
    "Conv": _convolution,
    "PRelu": lambda node, x, slope: F.prelu(x, slope.flatten()),
    "Add": lambda node, x, y: x + y,
    "Flatten": lambda node, x: x.flatten(1),
    "Gemm": lambda node, x, weight, bias: F.linear(x, weight, bias),
    "BatchNormalization": lambda node, x, weight, bias, mean, var: F.batch_norm(
        x, mean, var, weight, bias, eps=node.attributes["epsilon"]
    ),
}


class OnnxNet(nn.Module):
    """A frozen ONNX graph of the operations above, one input and one output; its weights are buffers."""

    def __init__(self, path: str | Path):
        super().__init__()
        self.nodes, constants = read_onnx(path)
        unknown = sorted({node.op for node in self.nodes} - _OPERATIONS.keys())
        used = {name for node in self.nodes for name in node.inputs}
        if unknown or constants.keys() - used:
            raise ValueError(f"{path} is not the expected MobileFaceNet: operations {unknown} are not known")
        for name, value in constants.items():
            self.register_buffer(name.replace(".", "_"), torch.from_numpy(value.copy()))
        self.constants = frozenset(constants)

    def forward(self, x: Tensor) -> Tensor:
        values = {self.nodes[0].inputs[0]: x}
        for node in self.nodes:
            inputs = [getattr(self, n.replace(".", "_")) if n in self.constants else values[n] for n in node.inputs]
            x = values[node.outputs[0]] = _OPERATIONS[node.op](node, *inputs)
        return x


class ArcFace(nn.Module):
    """Frozen identity embeddings of faces.

    `align`: "ffhq" takes the fixed crop of an FFHQ-aligned image (what the generators make), "detect" finds five
    landmarks in each image (any photo), "none" takes the image as the aligned crop. On generated faces the embeddings
    of the first two agree to a cosine of 0.97 (least 0.94 of 16).
    """

    def __init__(self, path: str | Path, align: str = "ffhq", detector: FaceDetector | None = None):
        super().__init__()
        self.align = check_mode(align)
        self.detector = detector or (FaceDetector.load() if align == "detect" else None)
        self.net = OnnxNet(path)
        self.register_buffer("template", torch.tensor(TEMPLATE) / SIZE, persistent=False)
        self.register_buffer("ffhq", torch.tensor(FFHQ_LANDMARKS)[None], persistent=False)
        self.eval()

    @classmethod
    def load(cls, align: str = "ffhq") -> ArcFace:
        """The network from the asset `arcface-mbf`; `align="detect"` needs the asset `scrfd` too."""
        return cls(assets.fetch("arcface-mbf"), align)

    def crop(self, images: Tensor) -> Tensor:
        """The aligned crops [B,3,112,112] that the network reads."""
        check_images(images, "ArcFace")
        if self.align == "none":
            return resize(images, SIZE)
        points = self.ffhq if self.align == "ffhq" else self.detector(images)[0]
        return crop(images, similarity(points, self.template), SIZE)

    def forward(self, images: Tensor) -> Tensor:
        """Unit embeddings [B,512], whose dot product is the identity similarity; differentiable in `images`."""
        return F.normalize(self.net(self.crop(images)), dim=1)
