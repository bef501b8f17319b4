"""Generate faces: a sheet of one image per seed."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from where2edit.commands.cli import run
from where2edit.commands.seeds import parse_seeds
from where2edit.editor.build import build_generator
from where2edit.editor.profile import load_profile
from where2edit.files import pictures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: python scripts/sample.py --config configs/mobile.yaml --seeds 0-7"
    )
    parser.add_argument("--config", default="configs/mobile.yaml", help="profile (default: %(default)s)")
    parser.add_argument("--seeds", default="0-7", help="for example 0-7 or 3,5,9 (default: %(default)s)")
    parser.add_argument(
        "--truncation", type=float, help="1 leaves w as it is, 0 is the mean face (default: the profile's)"
    )
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--cell", type=int, default=384, help="pixels of one face in the sheet (default: %(default)s)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("out/faces.png"), help="sheet (default: %(default)s)")
    parser.add_argument("overrides", nargs="*", help="section.key=value changes of the config")
    args = parser.parse_args()
    seeds = parse_seeds(args.seeds)
    config = load_profile(args.config, args.overrides)
    generator = build_generator(config, args.device)
    truncation = config.generator.truncation if args.truncation is None else args.truncation
    faces = []
    with torch.no_grad():
        for seed in tqdm(seeds, desc="faces"):
            w = generator.w(generator.sample_z([seed]), truncation)
            faces.append(generator.synthesis(generator.styles(w))[0])
    rows = [faces[i : i + args.columns] for i in range(0, len(faces), args.columns)]
    print(pictures.save_png(pictures.sheet(rows, [], [], cell=args.cell), args.out))


if __name__ == "__main__":
    run(main)
