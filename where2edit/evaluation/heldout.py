"""The held-out encoder: a text-image encoder that no training saw, named by `--heldout`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from where2edit.core.config import as_dict, build_options, build_section
from where2edit.core.sentences import quoted
from where2edit.files.fingerprints import file_sha256
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.base import TextImage, TextImageConfig


def build_heldout(text: str, training: TextImageConfig) -> TextImage:
    """The encoder that `text` names. Raises ValueError where it is the encoder of the training."""
    config = heldout_config(text)
    if _resolved(config) == _resolved(training):
        raise ValueError(f"--heldout {text} is the encoder of the training itself; name another one")
    return build_section(TEXT_IMAGE, config, "text_image")


def heldout_config(text: str) -> TextImageConfig:
    """NAME, NAME:MODEL, NAME:FILE or NAME:MODEL:WEIGHTS, such as clip:ViT-B-16:openai; NAME is a registered encoder.

    WEIGHTS: an asset, a file, or one of open_clip's tags. Raises ValueError for more parts and unknown names.
    """
    name, *rest = text.split(":")
    TEXT_IMAGE.get(name)
    if len(rest) > 2 or "" in rest:
        raise ValueError(
            f"no encoder is called {quoted(text)}; write NAME, NAME:MODEL, NAME:FILE or NAME:MODEL:WEIGHTS"
        )
    if len(rest) == 1 and (Path(rest[0]).suffix or Path(rest[0]).is_file()):
        return TextImageConfig(name=name, weights=rest[0])
    model, weights = (*rest, None, None)[:2]
    return TextImageConfig(name=name, weights=weights, options={"model": model} if model else {})


def heldout_digest(text: str | None) -> list[str]:
    """What figures of the held-out encoder depend on: its name, and the content of its file where it is one."""
    if not text:
        return []
    return [text, file_sha256(heldout_config(text).weights or "", absent="")]


def _resolved(config: TextImageConfig) -> TextImageConfig:
    """The same section with every option written out, so that two of them can be compared."""
    options = build_options(TEXT_IMAGE, config.name, config.options, "text_image.options")
    return replace(config, options=as_dict(options))
