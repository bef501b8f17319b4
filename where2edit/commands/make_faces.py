"""Material for scripts/train_facetext.py and scripts/train_judge.py: generated faces, or photos with label maps."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from where2edit.backbones.face_parsing import FaceParser
from where2edit.commands.options import (
    add_device,
    add_number,
    add_out,
    add_overwrite,
    add_seeds,
    named_path,
    new_parser,
)
from where2edit.commands.outputs import SAFETENSORS, new_file
from where2edit.commands.seeds import parse_seeds
from where2edit.core.bounds import Count, Few, Pixels
from where2edit.core.devices import resolve_device
from where2edit.facetext import celeba, packed
from where2edit.facetext.packed import Faces
from where2edit.facetext.synthetic_faces import generate, parse
from where2edit.generators.mobilestylegan import MobileStyleGAN


def main(help_text: str) -> None:
    """Make the faces that were asked for and write them packed."""
    options = parse_options(help_text)
    seeds = parse_seeds(options.seeds) if options.seeds else []
    new_file(options.out, SAFETENSORS, options.overwrite)
    device = resolve_device(options.device)
    parser = FaceParser.load(options.parser_size, options.parser_weights).to(device)
    if seeds:
        generator = MobileStyleGAN.load(options.generator_weights).to(device)
        faces = generate(generator, parser, seeds, options.size, options.batch)
    else:
        faces = photos(parser, options.data, options.attributes, options.limit, options.batch)
    packed.save(options.out, faces, {"seeds": str(options.seeds), "size": str(faces.images.shape[-1])})
    print(f"{len(faces)} faces in {options.out} ({options.out.stat().st_size / 1e6:.1f} MB)")


def parse_options(help_text: str) -> Namespace:
    """The options of the command line. Raises ValueError unless it asks for either seeds or photos."""
    parser = new_parser(help_text)
    add_out(parser, None, "safetensors to write")
    add_seeds(parser, None, "faces to generate")
    parser.add_argument("--data", type=named_path, help="folder of the aligned CelebA pictures, in place of --seeds")
    parser.add_argument("--attributes", type=named_path, help="CelebA's attribute table, a CSV")
    add_number(parser, "--limit", Count, None, "parse only this many training photos, evenly spread (default: all)")
    add_number(parser, "--size", Pixels, 112, "pixels of a generated face")
    words = "pixels at which faces are parsed; 256 is 4 times faster"
    add_number(parser, "--parser-size", Pixels, 512, words)
    add_number(parser, "--batch", Few, 8, "faces at a time")
    weights = "(default: the asset, downloaded and checked)"
    parser.add_argument("--generator-weights", type=named_path, help=f"weights of MobileStyleGAN {weights}")
    parser.add_argument("--parser-weights", type=named_path, help=f"weights of the face parser {weights}")
    add_overwrite(parser)
    add_device(parser)
    options = parser.parse_args()
    if bool(options.seeds) == bool(options.data) or bool(options.data) != bool(options.attributes):
        raise ValueError("give either --seeds, or --data together with --attributes")
    return options


def photos(parser: FaceParser, data: Path, attributes: Path, limit: int | None, batch: int) -> Faces:
    """The training photos of CelebA, or `limit` of them, with their label maps."""
    table = celeba.read_attributes(attributes)
    rows = celeba.training_rows(table, limit)
    images, readable = celeba.read_images(data, [table.names[row] for row in rows])
    return Faces(images[readable], parse(parser, images[readable], batch), rows[readable])
