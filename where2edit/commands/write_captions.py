"""Writes the sample caption corpus of celeba-caption/."""

from __future__ import annotations

from where2edit.commands.options import add_number, add_out, add_overwrite, new_parser
from where2edit.commands.outputs import unclaimed, writable
from where2edit.core.bounds import Count, Few, Seed
from where2edit.training.sample_corpus import write_corpus


def main(help_text: str) -> None:
    """Write the corpus."""
    parser = new_parser(help_text)
    add_out(parser, "celeba-caption", "folder of the corpus")
    add_number(parser, "--files", Count, 500, "text files, one face each")
    add_number(parser, "--captions", Few, 10, "lines of one file")
    add_number(parser, "--seed", Seed, 0, "seed of what is drawn")
    add_overwrite(parser)
    options = parser.parse_args()
    unclaimed(writable(options.out) / "0.txt", options.overwrite)
    write_corpus(options.out, options.files, options.captions, options.seed)
    print(f"{options.files} files of {options.captions} captions in {options.out}")
