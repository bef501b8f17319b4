"""Training of the inversion encoder of a profile's generator."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from where2edit.backbones.arcface import ArcFace
from where2edit.backbones.vgg import LPIPS
from where2edit.commands.celeba_options import training_parser
from where2edit.commands.options import filled
from where2edit.commands.outputs import writable
from where2edit.core.config import as_dict, load
from where2edit.core.devices import resolve_device
from where2edit.editor.build import build_generator
from where2edit.editor.profile import Profile, load_profile
from where2edit.files.manifest import found
from where2edit.generators.base import Generator
from where2edit.inversion.encoder_config import FaceEncoderConfig
from where2edit.inversion.encoder_material import (
    TRAIN_SEEDS,
    VALIDATION_SEEDS,
    GeneratedFaces,
    framed_photos,
    generated_faces,
    photo_names,
)
from where2edit.inversion.encoder_report import measure, table
from where2edit.inversion.encoder_start import start_shared, untrained
from where2edit.inversion.encoder_training import FaceEncoderTrainer, Networks, fingerprint
from where2edit.inversion.face_encoder import FaceEncoder
from where2edit.inversion.mean_face import MeanFace
from where2edit.inversion.views import build_view
from where2edit.training.run_folder import run_folder

RESULT = "face_encoder.safetensors"
MEASURED = 128  # pixels of a held-out photo


def main(help_text: str) -> None:
    """Train, or go on where the run in --out stopped; write the encoder and print its held-out figures."""
    parser = training_parser(help_text, "face_encoder")
    parser.add_argument("--profile", type=filled, default="configs/mobile.yaml", help="whose generator it is for")
    options = parser.parse_args()
    config = load(FaceEncoderConfig, found(options.config), options.overrides)
    profile = load_profile(options.profile, [])
    with run_folder(writable(options.out), fingerprint(config), config.steps, RESULT) as begun:
        train(options, config, profile, begun)


def train(options: Namespace, config: FaceEncoderConfig, profile: Profile, begun: bool) -> None:
    """The training itself, in a folder that is held; `begun`: it holds a run already."""
    out, material = options.out, config.material
    names, held_out = photo_names(options.attributes, material.photos, material.validation)
    kept = framed_photos(options.data, held_out, out / "held_out.safetensors", MEASURED)
    photos = framed_photos(options.data, names, out / "photos.safetensors")
    generator = build_generator(profile, resolve_device(options.device), "float32")
    device = generator.w_mean.device
    seen, measured_at = (build_view(each, generator) for each in (config.view, config.measured_at))

    def made(first: int, count: int, name: str) -> GeneratedFaces:
        return generated_faces(generator, seen, first, count, out / name, config.bfloat16)

    faces = made(TRAIN_SEEDS, material.generated, "generated.safetensors")
    encoder = untrained(generator, config.seed).to(device)
    if not begun:
        start_shared(encoder, faces, config.ridge)
    lpips, arcface = LPIPS.load().to(device), ArcFace.load().to(device)
    networks = Networks(generator, seen, lpips, arcface if config.losses.identity else None)
    FaceEncoderTrainer(encoder, networks, faces, photos, config, out).run()
    known = made(VALIDATION_SEEDS, material.validation, "validation.safetensors")
    rows = {
        each.name: measure(each, generator, measured_at, kept, known, lpips, arcface)
        for each in (MeanFace(generator.w_mean, generator.num_w), encoder.freeze())
    }
    publish(encoder, generator, config, rows, out / RESULT)
    print(f"{table(rows)}\n{len(kept)} photos, {len(known.w)} generated faces; weights in {out / RESULT}")


def publish(encoder: FaceEncoder, generator: Generator, config: FaceEncoderConfig, rows: dict, path: Path) -> None:
    """Write the encoder with its config, figures and licence."""
    about = {
        "config": json.dumps(as_dict(config)),
        "figures": json.dumps(rows),
        "licence": "non-commercial research only (CelebA, FFHQ)",
        "sources": "CelebA, MobileStyleGAN-FFHQ, facetext's image network (ImageNet weights)",
    }
    encoder.save(path, generator.name, about)
