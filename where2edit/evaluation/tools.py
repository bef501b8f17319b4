"""The networks that metrics read, from the options of scripts/evaluate.py."""

from __future__ import annotations

import hashlib
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from where2edit.backbones import judge
from where2edit.backbones.inception import InceptionLogits
from where2edit.core.config import as_dict, build_options, build_section
from where2edit.editor.profile import Profile
from where2edit.evaluation.metrics.base import Tools
from where2edit.evaluation.samples import digest
from where2edit.files import assets, pictures, tensorfile
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.base import TextImage, TextImageConfig

REAL = "real-features"  # kind of the file of features of real photos


def build_tools(profile: Profile, encoder: TextImage, device: str, options: Namespace, folder: Path) -> Tools:
    """The networks that metrics read; some only where an option gives them."""
    tools = Tools({"train_encoder": encoder}, device)
    if assets.shipped(judge.WEIGHTS).is_file():
        tools.give("judge", judge.Judge.load().to(device))
    if options.heldout:
        config = heldout_config(options.heldout)
        if resolved(config) == resolved(profile.text_image):
            raise ValueError(f"--heldout {options.heldout} is the encoder of the training itself; name another one")
        tools.give("heldout_encoder", build_section(TEXT_IMAGE, config, "text_image").to(device))
    if options.inception_logits:
        tools.give("inception_logits", InceptionLogits.load(options.inception_logits).to(device))
    if options.real:
        tools.give("real_features", real_features(options.real, tools, folder))
    return tools


def resolved(config: TextImageConfig) -> TextImageConfig:
    """The same section with every option written out, so that two of them can be compared."""
    options = build_options(TEXT_IMAGE, config.name, config.options, "text_image.options")
    return replace(config, options=as_dict(options))


def heldout_config(text: str) -> TextImageConfig:
    """NAME, NAME:MODEL, NAME:FILE or NAME:MODEL:WEIGHTS, such as clip:ViT-B-16:openai; NAME is a registered encoder.

    WEIGHTS: an asset, a file, or one of open_clip's tags. Raises ValueError for more parts and unknown names.
    """
    name, *rest = text.split(":")
    TEXT_IMAGE.get(name)
    if len(rest) > 2 or "" in rest:
        raise ValueError(f"--heldout {text}: write NAME, NAME:MODEL, NAME:FILE or NAME:MODEL:WEIGHTS")
    if len(rest) == 1 and (Path(rest[0]).suffix or Path(rest[0]).is_file()):
        return TextImageConfig(name=name, weights=rest[0])
    model, weights = (*rest, None, None)[:2]
    return TextImageConfig(name=name, weights=weights, options={"model": model} if model else {})


def heldout_digest(text: str | None) -> list[str]:
    """What figures of the held-out encoder depend on: its name, and the content of its file where it is one."""
    if not text:
        return []
    return [text, file_digest(Path(heldout_config(text).weights or ""))]


def file_digest(path: Path) -> str:
    """sha256 of a file; "" where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def real_features(folder: Path, tools: Tools, cache: Path) -> Tensor:
    """Inception features [M,2048] of the pictures below a folder, kept beside the results."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))
    if len(files) < 2:
        raise ValueError(f"--real {folder} holds {len(files)} pictures; give a folder of real photos (PNG, JPEG, WebP)")
    path = cache / f"real-{digest([[str(p.relative_to(folder)), p.stat().st_size] for p in files])}.safetensors"
    if not path.is_file():
        found = [tools["inception"](pictures.load_image(file).to(tools.device)).cpu() for file in files]
        tensorfile.write(path, {"features": torch.cat(found)}, REAL, {})
    return tensorfile.read(path, REAL)[0]["features"]
