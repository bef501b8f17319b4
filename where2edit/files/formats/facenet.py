"""FaceNet of facenet-pytorch (Inception-ResNet-v1): names are kept, the classifier over identities is left out."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from where2edit.files.formats.readers import read_network
from where2edit.files.formats.table import COUNTERS, ConversionTable, Drop, Take, with_counters

# Convolutions followed by a batch norm: name, outputs, inputs, kernel height and width.
_STEM = (
    ("conv2d_1a", 32, 3, 3, 3),
    ("conv2d_2a", 32, 32, 3, 3),
    ("conv2d_2b", 64, 32, 3, 3),
    ("conv2d_3b", 80, 64, 1, 1),
    ("conv2d_4a", 192, 80, 3, 3),
    ("conv2d_4b", 256, 192, 3, 3),
)
_MIXED = (
    ("mixed_6a.branch0", 384, 256, 3, 3),
    ("mixed_6a.branch1.0", 192, 256, 1, 1),
    ("mixed_6a.branch1.1", 192, 192, 3, 3),
    ("mixed_6a.branch1.2", 256, 192, 3, 3),
    ("mixed_7a.branch0.0", 256, 896, 1, 1),
    ("mixed_7a.branch0.1", 384, 256, 3, 3),
    ("mixed_7a.branch1.0", 256, 896, 1, 1),
    ("mixed_7a.branch1.1", 256, 256, 3, 3),
    ("mixed_7a.branch2.0", 256, 896, 1, 1),
    ("mixed_7a.branch2.1", 256, 256, 3, 3),
    ("mixed_7a.branch2.2", 256, 256, 3, 3),
)
_BLOCK35 = (
    ("branch0", 32, 256, 1, 1),
    ("branch1.0", 32, 256, 1, 1),
    ("branch1.1", 32, 32, 3, 3),
    ("branch2.0", 32, 256, 1, 1),
    ("branch2.1", 32, 32, 3, 3),
    ("branch2.2", 32, 32, 3, 3),
)
_BLOCK17 = (
    ("branch0", 128, 896, 1, 1),
    ("branch1.0", 128, 896, 1, 1),
    ("branch1.1", 128, 128, 1, 7),
    ("branch1.2", 128, 128, 7, 1),
)
_BLOCK8 = (
    ("branch0", 192, 1792, 1, 1),
    ("branch1.0", 192, 1792, 1, 1),
    ("branch1.1", 192, 192, 1, 3),
    ("branch1.2", 192, 192, 3, 1),
)
# Residual blocks: names, convolutions, channels in and out, channels of the joined branches.
_BLOCKS = (
    (tuple(f"repeat_1.{i}" for i in range(5)), _BLOCK35, 256, 96),
    (tuple(f"repeat_2.{i}" for i in range(10)), _BLOCK17, 896, 256),
    ((*(f"repeat_3.{i}" for i in range(5)), "block8"), _BLOCK8, 1792, 384),
)


def _norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a batch norm's tensors."""
    return {f"{name}.{tensor}": (channels,) for tensor in ("weight", "bias", "running_mean", "running_var")}


def table() -> ConversionTable:
    """Every tensor of the embedding network."""
    convolutions, shapes = [*_STEM, *_MIXED], {"last_linear.weight": (512, 1792), **_norm("last_bn", 512)}
    for names, block, channels, joined in _BLOCKS:
        for name in names:
            convolutions += [(f"{name}.{layer}", *size) for layer, *size in block]
            shapes |= {f"{name}.conv2d.weight": (channels, joined, 1, 1), f"{name}.conv2d.bias": (channels,)}
    for name, *size in convolutions:
        shapes |= {f"{name}.conv.weight": tuple(size), **_norm(f"{name}.bn", size[0])}
    drop = (COUNTERS, Drop("logits.*", "the classifier over the training identities is no part of the embedding"))
    return ConversionTable(
        "FaceNet (facenet-pytorch)", tuple(Take(name, name, shape) for name, shape in shapes.items()), drop
    )


def convert(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The state dict of the embedding network from a weight file of facenet-pytorch."""
    return with_counters(table().convert(read_network(path), str(path))), {}
