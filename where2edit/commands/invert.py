"""Inversion: a photo of a face to latents, by e4e."""

from __future__ import annotations

import torch

from where2edit.backbones.e4e import E4E
from where2edit.commands.options import add_device, add_out, add_overwrite, filled, new_parser
from where2edit.commands.outputs import SAFETENSORS, new_file
from where2edit.core.devices import resolve_device
from where2edit.editor.latents import save_latent
from where2edit.files.picture_reading import NAMES
from where2edit.files.pictures import load_image

PHOTO_SIZE = 1024  # pixels to which the central square of a photo is resized


def main(help_text: str) -> None:
    """Invert one photo and write its latents."""
    parser = new_parser(help_text)
    parser.add_argument("photo", help=f"{NAMES}; framed like FFHQ, since no face is looked for")
    add_out(parser, None, "safetensors to write: the codes w [L,512]")
    parser.add_argument("--weights", type=filled, help="e4e as published or converted (default: the asset e4e-ffhq)")
    add_device(parser)
    add_overwrite(parser)
    options = parser.parse_args()
    new_file(options.out, SAFETENSORS, options.overwrite)
    photo = load_image(options.photo, PHOTO_SIZE)
    device = resolve_device(options.device)
    encoder = E4E.load(options.weights).to(device)
    with torch.no_grad():
        w = encoder(photo.to(device))
    save_latent(w.cpu(), options.out)
    print(f"{options.out}: {w.shape[1]} codes")
