"""A sheet of faces by prompts."""

from __future__ import annotations

from where2edit.commands.options import (
    add_config,
    add_device,
    add_force,
    add_number,
    add_out,
    add_overrides,
    add_overwrite,
    add_seeds,
    add_weights,
    new_parser,
)
from where2edit.commands.outputs import PICTURES, check_sheet, new_file
from where2edit.commands.seeds import parse_seeds
from where2edit.core.bounds import Cell
from where2edit.editor.editor import Editor
from where2edit.editor.sheets import PROMPTS, contact_sheet, save_sheet


def main(help_text: str) -> None:
    """Edit every face with every prompt and write the sheet."""
    parser = new_parser(help_text)
    words = f"a column of the sheet; may be repeated (default: {', '.join(PROMPTS)})"
    parser.add_argument("--prompt", action="append", default=[], help=words)
    add_seeds(parser, "0-5", "faces, one row each")
    parser.add_argument("--masks", action="store_true", help="a second line for each face: what was edited")
    add_number(parser, "--cell", Cell, 256, "pixels of one picture")
    add_force(parser)
    add_config(parser)
    add_weights(parser)
    add_device(parser)
    add_out(parser, "out/edits.jpg", "sheet, .png or .jpg")
    add_overwrite(parser)
    add_overrides(parser)
    options = parser.parse_args()
    prompts, seeds = options.prompt or list(PROMPTS), parse_seeds(options.seeds)
    check_sheet(len(seeds) * (1 + options.masks), 1 + len(prompts), options.cell)
    new_file(options.out, PICTURES, options.overwrite)
    editor = Editor.load(options.config, options.overrides, device=options.device, weights=options.weights)
    print(save_sheet(contact_sheet(editor, seeds, prompts, options.cell, options.masks, options.force), options.out))
