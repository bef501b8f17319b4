"""OpenAI CLIP archives with a vision transformer: TorchScript or a state dict, names kept as open_clip reads them.

Legend: D joint width, W width of a tower, P patch, T tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from where2edit.files.formats.readers import is_torchscript, read_network, read_torchscript
from where2edit.files.formats.table import ConversionTable, Drop, Take, highest, width

SCALARS = ("input_resolution", "context_length", "vocab_size")

_BLOCK = (
    ("attn.in_proj_weight", (3, 1)),
    ("attn.in_proj_bias", (3,)),
    ("attn.out_proj.weight", (1, 1)),
    ("attn.out_proj.bias", (1,)),
    ("ln_1.weight", (1,)),
    ("ln_1.bias", (1,)),
    ("ln_2.weight", (1,)),
    ("ln_2.bias", (1,)),
    ("mlp.c_fc.weight", (4, 1)),
    ("mlp.c_fc.bias", (4,)),
    ("mlp.c_proj.weight", (1, 4)),
    ("mlp.c_proj.bias", (1,)),
)  # shapes in multiples of W


def table(state: Mapping[str, Any]) -> ConversionTable:
    """Every tensor of a CLIP with a vision transformer.

    Seven sizes are read off the tensors and the numbers of layers off their names; everything else must agree.
    """
    vision, text = width(state, "visual.ln_post.weight", 768), width(state, "ln_final.weight", 512)
    joint = width(state, "text_projection", 512, axis=1)
    patch = width(state, "visual.conv1.weight", 32, axis=3)
    shapes = {
        "visual.class_embedding": (vision,),
        "visual.conv1.weight": (vision, 3, patch, patch),
        "visual.positional_embedding": (width(state, "visual.positional_embedding", 50), vision),
        "visual.proj": (vision, joint),
        "positional_embedding": (width(state, "positional_embedding", 77), text),
        "token_embedding.weight": (width(state, "token_embedding.weight", 49408), text),
        "text_projection": (text, joint),
        "logit_scale": (),
    }
    for norm, size in (("visual.ln_pre", vision), ("visual.ln_post", vision), ("ln_final", text)):
        shapes |= {f"{norm}.weight": (size,), f"{norm}.bias": (size,)}
    for tower, size in (("visual.transformer", vision), ("transformer", text)):
        for i in range(max(highest(state, f"{tower}.resblocks.") + 1, 1)):
            block = f"{tower}.resblocks.{i}"
            shapes |= {f"{block}.{name}": tuple(n * size for n in factors) for name, factors in _BLOCK}
    take = tuple(Take(name, name, shape) for name, shape in shapes.items())
    drop = tuple(Drop(name, "follows from the shapes") for name in SCALARS)
    return ConversionTable("OpenAI CLIP with a vision transformer", take, drop)


def convert(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The state dict of an OpenAI archive, in the precision of the file. ResNet archives are refused."""
    if is_torchscript(path):
        state: Mapping[str, Any] = read_torchscript(path)
    else:
        state = read_network(path)
    if "visual.layer1.0.conv1.weight" in state:
        raise ValueError(f"{path} is a CLIP with a ResNet; only vision transformers (ViT-B/32, B/16, L/14) are read")
    tensors = table(state).convert(state, str(path))
    return tensors, {"dim": str(tensors["text_projection"].shape[1]), "activation": "quick_gelu"}
