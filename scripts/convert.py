"""Turn an official weight file into safetensors; nothing in the file is run, and every tensor of it is accounted for.

    python scripts/convert.py stylegan2-rosinality stylegan2-ffhq-config-f.pt out/stylegan2-ffhq.safetensors
    python scripts/convert.py stylegan2-nvidia ffhq.pkl out/stylegan2-ffhq.safetensors
    python scripts/convert.py where2edit final_mapper.pt out/where2edit-released.safetensors
    python scripts/convert.py --list

A profile that names an asset (scripts/download.py) converts it by itself; this is for files of your own.
"""

from __future__ import annotations

import argparse

from where2edit.commands.cli import run
from where2edit.files import assets, formats, tensorfile
from where2edit.files.downloads import readable


def listing() -> str:
    """One line per format: its name and the file that it reads."""
    width = max(map(len, formats.FORMATS))
    return "\n".join(f"{kind:{width}}  {assets.entry(item.asset).what}" for kind, item in formats.FORMATS.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", nargs="?", help="official format, one of --list")
    parser.add_argument("source", nargs="?", help="the official file")
    parser.add_argument("target", nargs="?", help="safetensors to write")
    parser.add_argument("--list", action="store_true", help="print the formats")
    args = parser.parse_args()
    if args.list:
        print(listing())
        return 0
    if not args.target:
        raise ValueError("give a format, the official file and the safetensors to write; --list prints the formats")
    path = formats.convert(args.kind, args.source, args.target)
    tensors, metadata = tensorfile.read(path)
    numbers = sum(tensor.numel() for tensor in tensors.values())
    print(f"{path}: {len(tensors)} tensors, {numbers:,} numbers, {readable(path.stat().st_size)}")
    for name, value in sorted(metadata.items()):
        print(f"  {name}: {value}")
    return 0


if __name__ == "__main__":
    run(main)
