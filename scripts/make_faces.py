"""Generate faces (with label maps) or parse the photos of CelebA, packed for scripts/train_facetext.py.

python scripts/make_faces.py --out out/faces.safetensors --seeds 100000 104000
python scripts/make_faces.py --out out/celeba.safetensors --data <CelebA folder> --attributes <csv> --limit 2500
"""

import argparse
from pathlib import Path

import torch

from where2edit.backbones.face_parsing import FaceParser
from where2edit.commands import cli
from where2edit.facetext import celeba, packed
from where2edit.facetext.synthetic_faces import generate, parse
from where2edit.generators.mobilestylegan import MobileStyleGAN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs=2, help="first seed and the one after the last")
    parser.add_argument("--data", type=Path, help="folder of the aligned CelebA pictures")
    parser.add_argument("--attributes", type=Path, help="their attribute CSV")
    parser.add_argument("--limit", type=int, help="parse only this many training photos, evenly spread")
    parser.add_argument("--size", type=int, default=112, help="pixels of a generated face")
    parser.add_argument(
        "--parser-size", type=int, default=512, help="resolution of the face parsing; 256 is 4 x faster"
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--generator-weights", type=Path, help="default: the asset, downloaded and checked")
    parser.add_argument("--parser-weights", type=Path, help="default: the asset, downloaded and checked")
    args = parser.parse_args()
    if bool(args.seeds) == bool(args.data) or bool(args.data) != bool(args.attributes):
        raise ValueError("give either --seeds, or --data together with --attributes")
    device = ("cuda" if torch.cuda.is_available() else "cpu") if args.device == "auto" else args.device
    face_parser = FaceParser.load(args.parser_size, args.parser_weights).to(device)
    if args.seeds:
        generator = MobileStyleGAN.load(args.generator_weights).to(device)
        faces = generate(generator, face_parser, range(*args.seeds), args.size, args.batch)
    else:
        table = celeba.read_attributes(args.attributes)
        rows = celeba.training_rows(table, args.limit)
        images = celeba.read_images(args.data, [table.names[row] for row in rows])
        faces = packed.Faces(images, parse(face_parser, images, args.batch), rows)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    packed.save(args.out, faces, {"seeds": str(args.seeds), "size": str(faces.images.shape[-1])})
    print(f"{len(faces)} faces in {args.out} ({args.out.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    cli.run(main)
