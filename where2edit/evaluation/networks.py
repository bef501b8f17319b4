"""The frozen networks that metrics read, some of which only an option of the evaluation provides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from where2edit.backbones import judge
from where2edit.backbones.arcface import ArcFace
from where2edit.backbones.face_parsing import FaceParser
from where2edit.backbones.facenet import FaceNet
from where2edit.backbones.inception import Inception, InceptionLogits
from where2edit.backbones.vgg import LPIPS
from where2edit.core.registry import nearest
from where2edit.editor.profile import Profile
from where2edit.evaluation.heldout import build_heldout
from where2edit.evaluation.options import EvaluationOptions
from where2edit.files import assets, tensorfile
from where2edit.files.fingerprints import digest, file_sha256
from where2edit.files.folders import list_pictures, readable_images
from where2edit.files.picture_reading import NAMES
from where2edit.files.regular import shown
from where2edit.text_image.base import TextImage

REAL = "real-features"  # kind of the file of features of real photos
LOADERS: dict[str, Callable] = {
    "inception": Inception.load,
    "face_parsing": FaceParser.load,
    "arcface": ArcFace.load,
    "facenet": FaceNet.load,
    "lpips": LPIPS.load,
}


class MetricNetworks:
    """Frozen networks by name, each loaded when it is first read.

    `given` adds to or replaces the loaders above: networks (or any values) under their names, such as
    "train_encoder" and "heldout_encoder" (text-image encoders), "inception_logits", "real_features" ([M,2048]) and
    "natural_faces" (NaturalFaces).
    """

    def __init__(self, given: Mapping[str, object] | None = None, device: torch.device | str = "cpu"):
        self._ready = dict(given or {})
        self.device = device

    def give(self, name: str, value: object) -> None:
        """Add or replace one network."""
        self._ready[name] = value

    def has(self, name: str) -> bool:
        """Whether the network was given or can be loaded."""
        return name in self._ready or name in LOADERS

    def __getitem__(self, name: str):
        """The network. Raises ValueError for a name that was neither given nor can be loaded."""
        if name not in self._ready:
            if name not in LOADERS:
                known = {*LOADERS, *self._ready}
                raise ValueError(f"'{name}' was not given and cannot be loaded; {nearest(name, known)}")
            self._ready[name] = LOADERS[name]().to(self.device)
        return self._ready[name]


def build_networks(
    profile: Profile, encoder: TextImage, device: str, options: EvaluationOptions, folder: Path
) -> MetricNetworks:
    """The networks of one evaluation; `folder` is where the features of real photos are kept.

    The judge is left out where its weights are not shipped; the held-out encoder, the Inception classifier and the
    features of real photos are there only where an option names them. Raises ValueError for options that do not fit.
    """
    networks = MetricNetworks({"train_encoder": encoder}, device)
    if assets.shipped(judge.WEIGHTS).is_file():
        networks.give("judge", judge.Judge.load().to(device))
    if options.heldout:
        networks.give("heldout_encoder", build_heldout(options.heldout, profile.text_image).to(device))
    if options.inception_logits:
        networks.give("inception_logits", InceptionLogits.load(options.inception_logits).to(device))
    if options.real:
        networks.give("real_features", real_features(options.real, networks, folder))
    return networks


def real_features(folder: Path, networks: MetricNetworks, cache: Path) -> Tensor:
    """Inception features [M,2048] of the M pictures below a folder, kept in the folder `cache` by their content.

    A picture that cannot be read is named in a warning and left out. Raises ValueError for fewer than two pictures.
    """
    files = list_pictures(folder)
    path = cache / f"real-{digest([_content(file) for file in files])}.safetensors"
    if not tensorfile.intact(path, REAL):
        found = [networks["inception"](image.to(networks.device)).cpu() for image in readable_images(files)]
        if len(found) < 2:
            raise ValueError(
                f"--real {shown(folder)} holds {len(found)} pictures; give a folder of real photos ({NAMES})"
            )
        tensorfile.write(path, {"features": torch.cat(found)}, REAL, {})
    return tensorfile.read(path, REAL)[0]["features"]


def _content(file: Path) -> str:
    """The sha256 of a file; "" for one that may not be read, which is left out later."""
    try:
        return file_sha256(file)
    except OSError:
        return ""
