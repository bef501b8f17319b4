"""A photo of a face to the latent that scripts/edit.py takes, by e4e (for the StyleGAN2-FFHQ of configs/ffhq.yaml).

    python scripts/invert.py photo.jpg --out out/photo-w.safetensors
    python scripts/edit.py --config configs/ffhq.yaml --latent out/photo-w.safetensors --prompt "a big smile"

The photo must be framed like FFHQ (eyes level, the face in the middle); its central square is read.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from where2edit.backbones.e4e import E4E
from where2edit.commands.cli import run, writable
from where2edit.editor.recipes import save_latent
from where2edit.files.pictures import load_image


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", help="PNG, JPEG or WebP")
    parser.add_argument("--out", type=Path, required=True, help="safetensors with the codes w [L,512]")
    parser.add_argument("--weights", help="e4e as published or converted; default: the asset e4e-ffhq")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    args = parser.parse_args()
    photo = load_image(args.photo, 1024)
    writable(args.out.parent)
    encoder = E4E.load(args.weights).to(args.device)
    with torch.no_grad():
        w = encoder(photo.to(args.device))
    save_latent(w.cpu(), args.out)
    print(f"{args.out}: {w.shape[1]} codes")
    return 0


if __name__ == "__main__":
    run(main)
