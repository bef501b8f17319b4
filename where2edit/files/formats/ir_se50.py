"""Weights of networks with the IR-SE50 trunk: ArcFace (model_ir_se50.pth) and e4e (e4e_ffhq_encode.pt).

Names are kept; a table says which there must be. Legend: C channels of the last stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from where2edit.files.formats.readers import read_checkpoint, read_network
from where2edit.files.formats.table import (
    COUNTERS,
    ConversionTable,
    Drop,
    Take,
    highest,
    section,
    unwrapped,
    width,
    with_counters,
)
from where2edit.files.regular import shown
from where2edit.files.tensor_checks import checked

UNITS = (3, 4, 14, 3)  # residual units of each of the four stages; the first of each halves the resolution
REDUCTION = 16  # of the squeeze: channels over this many are left in the middle of a gate
E4E_TRAINING = ("opts", "latent_avg", "global_step", "optimizer", "best_val_loss", "discriminator*")
E4E_HALVINGS = ((3, 4), (7, 5), (None, 6))  # codes below the first number are read by that many strided convolutions

_NORM = (("weight", "C"), ("bias", "C"), ("running_mean", "C"), ("running_var", "C"))
_UNIT = (
    ("res_layer.0", _NORM, "I"),
    ("res_layer.1", (("weight", "C I 3 3"),), "C"),
    ("res_layer.2", (("weight", "C"),), "C"),
    ("res_layer.3", (("weight", "C C 3 3"),), "C"),
    ("res_layer.4", _NORM, "C"),
    ("res_layer.5.fc1", (("weight", "S C 1 1"),), "C"),
    ("res_layer.5.fc2", (("weight", "C S 1 1"),), "C"),
)
_SHORTCUT = (("shortcut_layer.0", (("weight", "C I 1 1"),), "C"), ("shortcut_layer.1", _NORM, "C"))
_INPUT = (
    ("input_layer.0", (("weight", "C 3 3 3"),), "C"),
    ("input_layer.1", _NORM, "C"),
    ("input_layer.2", (("weight", "C"),), "C"),
)


def _rules(layers: tuple, prefix: str, **sizes: int) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of some layers; the letter at the end of a layer says which size its C is."""
    names = []
    for layer, tensors, norm in layers:
        here = sizes | {"C": sizes[norm]}
        for tensor, shape in tensors:
            names.append((f"{prefix}{layer}.{tensor}", tuple(here[x] if x in here else int(x) for x in shape.split())))
    return names


def trunk(widths: tuple[int, ...]) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the trunk's tensors."""
    names, index, inputs = _rules(_INPUT, "", C=widths[0]), 0, widths[0]
    for outputs, units in zip(widths, UNITS, strict=True):
        for _ in range(units):
            layers = _UNIT if inputs == outputs else _SHORTCUT + _UNIT
            names += _rules(layers, f"body.{index}.", I=inputs, C=outputs, S=outputs // REDUCTION)
            inputs, index = outputs, index + 1
    return names


def arcface_table(widths: tuple[int, ...]) -> ConversionTable:
    """Names of model_ir_se50.pth: the trunk, and the head that reads its last features at 7x7 pixels."""
    pixels = 7 * 7
    head = [("output_layer.3.weight", (512, widths[-1] * pixels)), ("output_layer.3.bias", (512,))]
    for layer, size in (("output_layer.0", widths[-1]), ("output_layer.4", 512)):
        head += _rules(((layer, _NORM, "C"),), "", C=size)
    return ConversionTable(
        "ArcFace IR-SE50", tuple(Take(name, name, shape) for name, shape in trunk(widths) + head), (COUNTERS,)
    )


def e4e_table(codes: int, widths: tuple[int, ...]) -> ConversionTable:
    """Names inside `state_dict`: the encoder is taken, the generator beside it has a file of its own."""
    c, names = widths[-1], trunk(widths)
    for i in range(codes):
        halvings = next(n for below, n in E4E_HALVINGS if below is None or i < below)
        for j in range(halvings):
            names += [(f"styles.{i}.convs.{2 * j}.weight", (c, c, 3, 3)), (f"styles.{i}.convs.{2 * j}.bias", (c,))]
        names += [(f"styles.{i}.linear.weight", (c, c)), (f"styles.{i}.linear.bias", (c,))]
    for layer, inputs in (("latlayer1", widths[2]), ("latlayer2", widths[1])):
        names += [(f"{layer}.weight", (c, inputs, 1, 1)), (f"{layer}.bias", (c,))]
    drop = (COUNTERS, Drop("decoder.*", "the generator is converted from its own file"))
    return ConversionTable("e4e", tuple(Take(f"encoder.{name}", name, shape) for name, shape in names), drop)


def convert_arcface(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The state dict of model_ir_se50.pth and its sizes."""
    state = read_network(path)
    widths = _widths(state, "")
    return with_counters(arcface_table(widths).convert(state, str(path))), {"widths": _text(widths)}


def convert_e4e(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The encoder and the mean code of e4e_ffhq_encode.pt, and their sizes."""
    tree = read_checkpoint(path)
    state = unwrapped(section(tree, "state_dict", str(path), E4E_TRAINING), str(path))
    widths, codes = _widths(state, "encoder."), _codes(tree, state, path)
    tensors = e4e_table(codes, widths).convert(state, str(path))
    mean = tree.get("latent_avg")
    if not torch.is_tensor(mean) or tuple(mean.shape) not in ((codes, widths[-1]), (1, widths[-1]), (widths[-1],)):
        found = list(mean.shape)[:6] if torch.is_tensor(mean) else type(mean).__name__
        raise ValueError(f"{shown(path)} holds 'latent_avg' {found}, but e4e has [{codes}, {widths[-1]}]")
    tensors["latent_avg"] = checked(mean, "latent_avg", path).float().expand(codes, -1)
    return with_counters(tensors), {"codes": str(codes), "widths": _text(widths)}


def _codes(tree: Mapping[str, Any], state: Mapping[str, Any], path: str | Path) -> int:
    """The number of codes, from the options of the training and from the names. ValueError where they disagree."""
    options = tree.get("opts")
    if not isinstance(options, Mapping):
        raise ValueError(f"{path} has no options 'opts'; give the file as e4e's authors publish it")
    if options.get("encoder_type", "Encoder4Editing") != "Encoder4Editing":
        raise ValueError(f"{path} was trained as '{shown(options['encoder_type'])}'; only Encoder4Editing is e4e")
    size = options.get("stylegan_size", 1024)
    if type(size) is not int or size not in (2**n for n in range(3, 11)):
        raise ValueError(f"{path} says stylegan_size {shown(size)}; allowed: a power of two from 8 to 1024")
    codes, found = 2 * size.bit_length() - 4, highest(state, "encoder.styles.") + 1
    if found > codes:
        raise ValueError(f"{path} holds {found} code heads, but its stylegan_size {size} asks for {codes}")
    return codes


def _widths(state: Mapping[str, Any], prefix: str) -> tuple[int, ...]:
    """Channels of the four stages, each read off the last convolution of its stage; official: 64, 128, 256, 512."""
    ends = [sum(UNITS[: i + 1]) - 1 for i in range(len(UNITS))]
    names = (f"{prefix}body.{end}.res_layer.3.weight" for end in ends)
    return tuple(width(state, name, 64 * 2**i) for i, name in enumerate(names))


def _text(widths: tuple[int, ...]) -> str:
    """Sizes as the metadata keeps them, (64, 128) -> "64 128"."""
    return " ".join(map(str, widths))
