"""The published weights of facetext and of the judge."""

from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from where2edit.core import distributed
from where2edit.core.config import as_dict
from where2edit.facetext.config import EncoderConfig
from where2edit.files import tensorfile
from where2edit.files.fingerprints import config_digest


def publish(net: nn.Module, path: Path, config: EncoderConfig, model: str, **about: str) -> None:
    """Write weights in half precision with the config, the licence and what `about` adds in their metadata.

    `model` is the kind of the file: facetext or judge. Of many processes the first one writes.
    """
    if distributed.rank():
        return
    state = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    tensorfile.write(path, state, model, {**_metadata(config), **about})


def _metadata(config: EncoderConfig) -> dict[str, str]:
    return {
        "config": json.dumps(as_dict(config)),
        "config_digest": config_digest(config),
        "licence": "non-commercial research only (CelebA, FFHQ)",
        "sources": "CelebA, MobileStyleGAN-FFHQ, ImageNet weights",
    }
