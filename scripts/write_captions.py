"""Write the sample caption corpus of celeba-caption/.

python scripts/write_captions.py --out celeba-caption
"""

import argparse
from pathlib import Path

from where2edit.commands import cli
from where2edit.training.sample_corpus import write_corpus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("celeba-caption"))
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--captions", type=int, default=10, help="lines a file")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write_corpus(args.out, args.files, args.captions, args.seed)
    print(f"{args.files} files of {args.captions} captions in {args.out}")


if __name__ == "__main__":
    cli.run(main)
