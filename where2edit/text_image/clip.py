"""CLIP through open_clip: OpenAI's archives, and any other model that open_clip knows by name (Radford et al. 2021).

OpenAI's networks use QuickGELU. In an architecture without it their weights load without an error and give wrong
features; therefore an archive of OpenAI's is always built from the shapes of its own tensors, with QuickGELU.

Legend: N prompts, B images of H x W pixels, D embedding width.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.preprocess import Normalise, area_resize
from where2edit.core.registry import nearest
from where2edit.core.sentences import one_sentence
from where2edit.files import assets, manifest, tensorfile
from where2edit.files.downloads import reachable
from where2edit.files.formats.readers import is_torchscript, read_network, read_torchscript
from where2edit.files.regular import regular_file, shown
from where2edit.files.tensor_checks import checked
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.base import TextImage, TextImageConfig

OPENAI_ASSETS = {"ViT-B-32-quickgelu": "clip-vit-b32"}  # architecture -> asset of OpenAI's own weights
QUICK = "-quickgelu"


@dataclass(frozen=True)
class ClipOptions:
    """The `text_image.options` of clip."""

    model: str = "ViT-B-32-quickgelu"  # open_clip's name of the architecture
    pixels: Literal["openai", "released"] = "openai"  # how images are brought to its size, see Clip


class Clip(TextImage):
    """An open_clip model; embeddings are those of encode_text and encode_image, not normalised.

    pixels="openai": bicubic resizing, then the mean and deviation that the network was trained with. "released": what
    the released Where2edit feeds it, the exact mean over each output pixel's share of the image, left in [-1,1].
    """

    name = "clip"
    unit_norm = False
    framed_faces = True

    def __init__(self, net: nn.Module, model: str, pixels: str = "openai"):
        super().__init__()
        import open_clip

        self.net, self.model, self.pixels = net.float(), model, pixels
        known = model in open_clip.list_models()
        self.tokenizer = (
            open_clip.get_tokenizer(model) if known else open_clip.SimpleTokenizer(context_length=net.context_length)
        )
        self.max_tokens = net.context_length - 2  # a start and an end token stand around the words
        size = net.visual.image_size
        self.size = size if isinstance(size, int) else size[0]
        self.normalise = Normalise(net.visual.image_mean, net.visual.image_std)
        self.logit_scale = float(net.logit_scale.detach().exp())
        self.freeze()
        with torch.no_grad():
            self.dim = self.encode_text(["a face"]).shape[1]

    @property
    def label(self) -> str:
        return self.model

    def tokens(self, prompt: str) -> int:
        return len(self.tokenizer.encode(prompt)) if hasattr(self.tokenizer, "encode") else 0

    def encode_text(self, prompts: list[str]) -> Tensor:
        return self.net.encode_text(self.tokenizer(prompts).to(self.net.logit_scale.device))

    def preprocess(self, images: Tensor) -> Tensor:
        """Images [B,3,H,W] in [-1,1], any size -> what the image tower reads, [B,3,size,size]; differentiable."""
        if self.pixels == "released":
            return area_resize(images, self.size)
        if images.shape[-2:] != (self.size, self.size):
            shape = (self.size, self.size)
            images = F.interpolate(images, shape, mode="bicubic", antialias=True, align_corners=False).clamp(-1, 1)
        return self.normalise(images)

    def encode_image(self, images: Tensor) -> Tensor:
        return self.net.encode_image(self.preprocess(images))


@TEXT_IMAGE.register("clip", options=ClipOptions)
def clip(config: TextImageConfig, options: ClipOptions) -> Clip:
    """The frozen model `options.model`.

    config.weights: None for OpenAI's own, checked against the manifest's sha256; an asset name; the path of a file; or
    one of open_clip's pretrained tags. Raises ValueError for an unknown model or tag and for a file that does not fit.
    """
    weights = config.weights or OPENAI_ASSETS.get(options.model)
    if weights is None:
        raise ValueError(
            f"no weights named for CLIP model '{options.model}'; set "
            f"text_image.weights to a file or one of open_clip's tags"
        )
    return Clip(_network(options.model, weights), options.model, options.pixels)


def _network(model: str, weights: str) -> nn.Module:
    """The open_clip model with the weights of an asset, a file or a tag."""
    if weights in manifest.entries():
        return _from_file(assets.fetch(weights), model)
    if Path(weights).suffix or Path(weights).exists():
        return _from_file(Path(weights), model)
    return _by_tag(model, weights)


def _from_file(path: Path, model: str) -> nn.Module:
    """A model from OpenAI's TorchScript archive, a state dict (.pt, read without unpickling code) or safetensors."""
    state, scripted = _state(path)
    if scripted and not model.endswith(QUICK):
        raise ValueError(
            f"{path} is an archive of OpenAI's, made for QuickGELU; set text_image.options.model to '{model}{QUICK}'"
        )
    try:
        return _openai(state) if model.endswith(QUICK) else _open_clip(model, state)
    except (LookupError, RuntimeError, TypeError, AttributeError, ArithmeticError, AssertionError) as error:
        raise ValueError(f"{shown(path)} does not hold the weights of CLIP model '{model}': {shown(error)}") from None


def _state(path: Path) -> tuple[dict[str, Tensor], bool]:
    """The tensors of a weight file, and whether it is a TorchScript archive."""
    advice = "give a file, an asset or one of open_clip's pretrained tags"
    regular_file(path, "CLIP weights", tensorfile.MOST_BYTES, advice)
    scripted = path.suffix != ".safetensors" and is_torchscript(path)
    if path.suffix == ".safetensors":
        state = tensorfile.read(path, advice=advice)[0]
    else:
        state = read_torchscript(path) if scripted else read_network(path)
    return {name: checked(value, name, path) for name, value in state.items()}, scripted


def _openai(state: dict[str, Tensor]) -> nn.Module:
    """OpenAI's layout: the shapes say which architecture it is."""
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
    from open_clip.model import build_model_from_openai_state_dict

    net = build_model_from_openai_state_dict(dict(state), cast_dtype=torch.float32).float()
    net.visual.image_mean, net.visual.image_std = OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
    return net


def _open_clip(model: str, state: dict[str, Tensor]) -> nn.Module:
    """An open_clip architecture with these weights."""
    net = _architecture(model)
    net.load_state_dict(state)
    return net


def _architecture(model: str, tag: str | None = None) -> nn.Module:
    """An open_clip architecture, untrained or with the weights of a tag. Raises ValueError for an unknown name."""
    import open_clip

    _check_model(model)
    return open_clip.create_model(model, pretrained=tag)


def _check_model(model: str) -> None:
    """Raise ValueError for the name of an architecture that open_clip does not know."""
    import open_clip

    if model not in open_clip.list_models():
        raise ValueError(f"unknown CLIP model '{model}'; {_closest(model, open_clip.list_models())}")


def _by_tag(model: str, tag: str) -> nn.Module:
    """A model with one of the pretrained weights that open_clip downloads."""
    import open_clip

    _check_model(model)
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        raise ValueError(f"unknown weights '{tag}' for CLIP model '{model}'; {nearest(tag, tags)}")
    with _hub(model, tag):
        return _architecture(model, tag)


@contextmanager
def _hub(model: str, tag: str) -> Iterator[None]:
    """Let open_clip fetch weights where there is a connection, and look into its cache alone where there is none.

    Without one, its own attempts would take a minute. Raises ValueError for weights that cannot be had.
    """
    import open_clip
    from huggingface_hub import constants

    where = open_clip.get_pretrained_cfg(model, tag)
    offline = assets.offline_mode() or not reachable(constants.ENDPOINT if where.get("hf_hub") else where.get("url"))
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or offline
    logging.disable(logging.ERROR)  # what goes wrong is said once, by our own sentence
    try:
        if offline and not where.get("hf_hub"):
            raise OSError("there is no connection")
        yield
    except (OSError, RuntimeError) as error:
        advice = "get them where there is a connection, or give a file in their place"
        raise ValueError(
            f"weights '{tag}' of CLIP model '{model}' cannot be had: {one_sentence(str(error), 120)}; {advice}"
        ) from None
    finally:
        constants.HF_HUB_OFFLINE = before
        logging.disable(logging.NOTSET)


def _closest(name: str, known: list[str]) -> str:
    """The few nearest of the hundred and more names that open_clip knows."""
    import difflib

    return f"did you mean {', '.join(difflib.get_close_matches(name, known, 5, 0.3)) or known[0]}?"
