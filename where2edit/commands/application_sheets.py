"""The paper's applications as pictures (Figs. 10 to 12)."""

from __future__ import annotations

from where2edit.commands.options import (
    add_config,
    add_device,
    add_out,
    add_overrides,
    add_overwrite,
    add_seeds,
    add_weights,
    new_parser,
)
from where2edit.commands.outputs import check_sheet, unclaimed, writable
from where2edit.commands.seeds import parse_seeds
from where2edit.editor import sheets
from where2edit.editor.editor import Editor

SEQUENCE = ("blond hair", "a big smile", "lipstick")
WHERES = ("blond hair", "lipstick", "bushy eyebrows")
NAMES = ("sequence.jpg", "references.jpg", "two_prompts.jpg")
PAIRS = (("old", "grey hair"), ("a woman", "lipstick"), ("a beard", "blond hair"))


def main(help_text: str) -> None:
    """Write sequence.jpg, references.jpg and two_prompts.jpg."""
    parser = new_parser(help_text)
    add_seeds(parser, "0-3", "faces to edit, the first also by references")
    parser.add_argument("--references", default="10-14", help="seeds of the reference pictures (default: %(default)s)")
    add_config(parser)
    add_weights(parser)
    add_device(parser)
    add_out(parser, "out/applications", "folder of the three pictures")
    add_overwrite(parser)
    add_overrides(parser)
    options = parser.parse_args()
    seeds, references = parse_seeds(options.seeds), parse_seeds(options.references)
    check_sheet(len(seeds), 1 + max(len(SEQUENCE), len(references)), sheets.CELL)
    for name in NAMES:
        unclaimed(writable(options.out) / name, options.overwrite)
    editor = Editor.load(options.config, options.overrides, device=options.device, weights=options.weights)
    print(sheets.save_sheet(sheets.sequence_sheet(editor, seeds, list(SEQUENCE)), options.out / NAMES[0]))
    sheet = sheets.reference_sheet(editor, seeds[0], references, list(WHERES))
    print(sheets.save_sheet(sheet, options.out / NAMES[1]))
    print(sheets.save_sheet(sheets.two_prompt_sheet(editor, seeds, list(PAIRS)), options.out / NAMES[2]))
