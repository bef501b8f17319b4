"""A sheet of faces by prompts."""

from __future__ import annotations

from where2edit.commands.options import (
    add_config,
    add_device,
    add_force,
    add_out,
    add_overrides,
    add_seeds,
    add_weights,
    new_parser,
)
from where2edit.commands.seeds import parse_seeds
from where2edit.editor.editor import Editor
from where2edit.editor.sheets import PROMPTS, contact_sheet, save_sheet


def main(help_text: str) -> None:
    """Edit every face with every prompt and write the sheet."""
    parser = new_parser(help_text)
    words = f"a column of the sheet; may be repeated (default: {', '.join(PROMPTS)})"
    parser.add_argument("--prompt", action="append", default=[], help=words)
    add_seeds(parser, "0-5", "faces, one row each")
    parser.add_argument("--masks", action="store_true", help="a second line for each face: what was edited")
    parser.add_argument("--cell", type=int, default=256, help="pixels of one picture (default: %(default)s)")
    add_force(parser)
    add_config(parser)
    add_weights(parser)
    add_device(parser)
    add_out(parser, "out/edits.jpg", "sheet, .png or .jpg")
    add_overrides(parser)
    options = parser.parse_args()
    prompts, seeds = options.prompt or list(PROMPTS), parse_seeds(options.seeds)
    editor = Editor.load(options.config, options.overrides, device=options.device, weights=options.weights)
    print(save_sheet(contact_sheet(editor, seeds, prompts, options.cell, options.masks, options.force), options.out))
