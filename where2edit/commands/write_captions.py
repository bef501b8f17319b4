"""Writes the sample caption corpus of celeba-caption/."""

from __future__ import annotations

from where2edit.commands.options import add_out, new_parser
from where2edit.training.sample_corpus import write_corpus


def main(help_text: str) -> None:
    """Write the corpus."""
    parser = new_parser(help_text)
    add_out(parser, "celeba-caption", "folder of the corpus")
    parser.add_argument("--files", type=int, default=500, help="text files, one face each (default: %(default)s)")
    parser.add_argument("--captions", type=int, default=10, help="lines of one file (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of what is drawn (default: %(default)s)")
    options = parser.parse_args()
    write_corpus(options.out, options.files, options.captions, options.seed)
    print(f"{options.files} files of {options.captions} captions in {options.out}")
