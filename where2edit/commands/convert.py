"""Official weight files to safetensors."""

from __future__ import annotations

from pathlib import Path

from where2edit.commands.options import add_overwrite, new_parser
from where2edit.commands.outputs import SAFETENSORS, new_file
from where2edit.files import formats, tensorfile
from where2edit.files.downloads import readable
from where2edit.files.manifest import entry, format_assets


def main(help_text: str) -> None:
    """Convert one file and print what it holds, or print the formats."""
    parser = new_parser(help_text)
    parser.add_argument("kind", nargs="?", help="official format, one of --list")
    parser.add_argument("source", nargs="?", help="the official file")
    parser.add_argument("target", nargs="?", help="safetensors to write")
    parser.add_argument("--list", action="store_true", help="print the formats and do nothing else")
    add_overwrite(parser)
    options = parser.parse_args()
    if options.list:
        print(listing())
        return
    if not options.target:
        raise ValueError("give a format, the official file and the safetensors to write; --list prints the formats")
    formats.get(options.kind)  # refuses an unknown one
    new_file(Path(options.target), SAFETENSORS, options.overwrite, "the target")
    path = formats.convert(options.kind, options.source, options.target)
    tensors, metadata = tensorfile.read(path)
    numbers = sum(tensor.numel() for tensor in tensors.values())
    print(f"{path}: {len(tensors)} tensors, {numbers:,} numbers, {readable(path.stat().st_size)}")
    for name, value in sorted(metadata.items()):
        print(f"  {name}: {value}")


def listing() -> str:
    """One line per format: its name and the file that it reads."""
    width = max(map(len, formats.FORMATS))
    return "\n".join(f"{kind:{width}}  {entry(format_assets(kind)[0]).what}" for kind in formats.FORMATS)
