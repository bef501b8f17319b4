"""The released Where2edit model (final_mapper.pt): mapping and attention for StyleGAN2-FFHQ 1024 at "64.conv1".

The file is the bare state dict of a DistributedDataParallel module. Its conditioning augmentation (`mapper_textca_*`)
is built but never called, and the style affines of its attention convolutions are bypassed: both are dropped by name.

Legend: k regions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from where2edit.files.formats.readers import read_network
from where2edit.files.formats.table import ConversionTable, Drop, Take, width

WIDTH = 512  # of the embedding and of every edited style
EDITED = 14  # styles up to 64 px, toRGB ones included
CHANNELS = 32  # of each attention map
INPUTS = (512,) * 10 + (256, 256, 128, 128, 64, 64, 32, 32)  # constant and 17 convolutions
LIST_POSITIONS = tuple(i for i in range(26) if i % 3 != 1)  # of the 17 convolutions among convolutions and RGB layers
BLEND_SITE = "64.conv1"
GENERATOR = "stylegan2-1024"
REGIONS = "initial_state"  # the k-means centres

DEAD = (
    Drop("mapper_textca_*", "conditioning augmentation, never called"),
    Drop("attention_*.conv.modulation.*", "style affine of a convolution that the text modulates instead"),
)
_MAPPER = (
    ("mapper_{i}", "mapper.style.{i}", WIDTH, WIDTH),
    ("mapper_text_{i}.0", "mapper.text.{i}.0", WIDTH, WIDTH),
    ("mapper_text_{i}.1", "mapper.text.{i}.2", WIDTH, WIDTH),
    ("mapper_all_{i}", "mapper.fusion.{i}", WIDTH, 2 * WIDTH),
)


def _linear(source: str, target: str, outputs: int, inputs: int) -> list[Take]:
    """The rules of one linear layer."""
    weight = Take(f"{source}.weight", f"{target}.weight", (outputs, inputs))
    return [weight, Take(f"{source}.bias", f"{target}.bias", (outputs,))]


def _attention(name: str, target: str, inputs: int, outputs: int) -> list[Take]:
    """One styled 1x1 convolution and the affine that turns the embedding into its modulation."""
    return [
        *_linear(f"attention_textca_{name}", f"{target}.affine", inputs, WIDTH),
        Take(f"attention_{name}.conv.weight", f"{target}.weight", (1, outputs, inputs, 1, 1), (outputs, inputs)),
        Take(f"attention_{name}.noise.weight", f"{target}.noise_strength", (1,), ()),
        Take(f"attention_{name}.activate.bias", f"{target}.bias", (outputs,)),
    ]


def table(numbering: tuple[int, ...], bias_shape: tuple[int, ...], regions: int) -> ConversionTable:
    """Every live tensor; `numbering` is how the file counts the 17 attention convolutions."""
    take = [Take("initial_bias", "attention.bias", bias_shape, ())]
    take.append(Take(REGIONS, "centres", (regions, WIDTH + 2 * (WIDTH // 16))))
    for i in range(EDITED):
        for source, target, outputs, inputs in _MAPPER:
            take += _linear(source.format(i=i), target.format(i=i), outputs, inputs)
    for n, (name, inputs) in enumerate(zip(("first", *map(str, numbering)), INPUTS, strict=True)):
        take += _attention(name, f"attention.first.{n}", inputs, CHANNELS)
    take += _attention("last", "attention.last", CHANNELS * len(INPUTS), 1)
    return ConversionTable("the released Where2edit model", tuple(take), DEAD)


def convert_editor(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """mapper.* and attention.* of final_mapper.pt, as the method `where2edit` names them, and their sizes."""
    tensors = _convert(path)
    del tensors["centres"]
    return tensors, {"blend_site": BLEND_SITE, "text_dim": str(WIDTH), "generator": GENERATOR}


def convert_regions(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The centres [k,576] of final_mapper.pt and the recipe of their fit, as `Regions.load` reads them."""
    centres = _convert(path)["centres"]
    recipe = {"k": len(centres), "samples": 100, "truncation": 0.7, "seed": 42, "upsample": 2}
    fitted = {"config": json.dumps(recipe), "generator": GENERATOR, "site": BLEND_SITE, "inertia": "nan"}
    return {"centres": centres}, fitted


def _convert(path: str | Path) -> dict[str, Tensor]:
    """Every live tensor of final_mapper.pt under our names."""
    state = read_network(path)
    bias = state.get("initial_bias")
    shape = tuple(bias.shape) if torch.is_tensor(bias) and bias.numel() == 1 else ()
    return table(_numbering(state), shape, width(state, REGIONS, 20)).convert(state, str(path))


def _numbering(state: Mapping[str, Any]) -> tuple[int, ...]:
    """The 17 convolutions are counted 0-16 or by their position among convolutions and RGB layers, in one order."""
    return LIST_POSITIONS if "attention_24.conv.weight" in state else tuple(range(len(LIST_POSITIONS)))
