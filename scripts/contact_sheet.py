"""A sheet of faces by prompts: the sources in the first column, one edit of each for every prompt.

python scripts/contact_sheet.py --out docs/edits.jpg                       seeds 0-5, the prompts of the README
python scripts/contact_sheet.py --masks --prompt "blond hair" --seeds 0-9  another choice, masks below the edits
"""

from __future__ import annotations

import argparse
from pathlib import Path

from where2edit.commands.cli import run
from where2edit.commands.seeds import parse_seeds
from where2edit.editor.editor import Editor
from where2edit.editor.sheets import PROMPTS, contact_sheet, save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompt", action="append", default=[], help=f"a column (default: {', '.join(PROMPTS)})")
    parser.add_argument("--seeds", default="0-5", help="faces, one row each (default: %(default)s)")
    parser.add_argument("--masks", action="store_true", help="a second line for each face: what was edited")
    parser.add_argument("--cell", type=int, default=256, help="pixels of one picture (default: %(default)s)")
    parser.add_argument("--config", default="configs/mobile.yaml", help="profile (default: %(default)s)")
    parser.add_argument("--weights", help="trained editor: asset name or path (default: the profile's)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("out/edits.jpg"), help=".png or .jpg (default: %(default)s)")
    parser.add_argument("overrides", nargs="*", help="section.key=value changes of the config")
    options = parser.parse_args()
    editor = Editor.load(options.config, options.overrides, device=options.device, weights=options.weights)
    prompts, seeds = options.prompt or list(PROMPTS), parse_seeds(options.seeds)
    print(save(contact_sheet(editor, seeds, prompts, options.cell, options.masks), options.out))


if __name__ == "__main__":
    run(main)
