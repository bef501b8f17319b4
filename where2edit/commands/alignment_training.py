"""The training of a method that learns codes: its faces, generated and real, and its trainer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from where2edit.core import distributed
from where2edit.editor.profile import Profile
from where2edit.facetext import celeba
from where2edit.files.folders import list_pictures
from where2edit.files.regular import shown
from where2edit.generators.base import Generator
from where2edit.inversion.base import build_inversion
from where2edit.inversion.mean_face import MeanFace
from where2edit.methods.base import Method
from where2edit.methods.tmsa import Tmsa, at_length
from where2edit.text_image.base import TextImage
from where2edit.training.space_alignment import AlignedFaces, AlignmentTrainer, generated_faces

SIZE = 178  # pixels at which photos are kept: the width of CelebA's aligned pictures
BATCH = 16  # photos that are looked at together


def alignment_trainer(
    profile: Profile,
    encoder: TextImage,
    method: Method,
    out: Path,
    fingerprint: str,
    sheet: Callable[[Path], None],
) -> AlignmentTrainer:
    """The trainer of a run, after its faces are made. Raises ValueError for many processes, and as `photo_faces`."""
    assert isinstance(method, Tmsa)  # the one method whose networks answer codes
    if distributed.world() > 1:
        raise ValueError("a method that learns codes is trained in one process; start it by python, without torchrun")
    config, training = profile.alignment, profile.training
    photos = (
        None if config.photos is None else photo_faces(profile, Path(config.photos), encoder, method.frozen.generator)
    )
    faces = generated_faces(method, encoder, config.faces, training)
    return AlignmentTrainer(training, config, method, encoder, faces, photos, out, fingerprint, sheet)


@torch.no_grad()
def photo_faces(profile: Profile, folder: Path, encoder: TextImage, generator: Generator) -> AlignedFaces:
    """CelebA's aligned pictures in a folder, with the codes of the profile's inversion encoder where it has one.

    Raises ValueError for a folder without pictures, and for an inversion encoder whose weights are missing.
    """
    config, found = profile.alignment, list_pictures(folder)
    if not found:
        raise ValueError(f"no pictures in {shown(folder)}; alignment.photos is a folder of CelebA's aligned pictures")
    spread = torch.linspace(0, len(found) - 1, min(config.most_photos, len(found))).round().long().tolist()
    images, readable = celeba.read_images(folder, [str(found[row].relative_to(folder)) for row in spread], SIZE)
    images = images[readable]
    inverter = build_inversion(profile.inversion, generator) if config.adaptation else None
    inverter = None if isinstance(inverter, MeanFace) else inverter  # which sees no face
    e, codes = [], []
    for start in range(0, len(images), BATCH):
        batch = (images[start : start + BATCH].float() / 127.5 - 1).to(generator.w_mean.device)
        e.append(at_length(encoder.image(batch)))
        codes += [] if inverter is None else [inverter(batch)]
    return AlignedFaces(torch.cat(e), torch.cat(codes) if codes else None)
