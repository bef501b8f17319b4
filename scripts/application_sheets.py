"""The paper's applications as pictures: sequential editing, regional style transfer and two-prompt editing.

python scripts/application_sheets.py --out docs    sequence.jpg, references.jpg and two_prompts.jpg (Figs. 10 to 12)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from where2edit.commands.cli import run
from where2edit.commands.seeds import parse_seeds
from where2edit.editor import sheets
from where2edit.editor.editor import Editor

SEQUENCE = ("blond hair", "a big smile", "lipstick")
WHERES = ("blond hair", "lipstick", "bushy eyebrows")
PAIRS = (("old", "grey hair"), ("a woman", "lipstick"), ("a beard", "blond hair"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-3", help="faces; the first is the target of the references (%(default)s)")
    parser.add_argument("--references", default="10-14", help="seeds of the reference pictures (default: %(default)s)")
    parser.add_argument("--config", default="configs/mobile.yaml", help="profile (default: %(default)s)")
    parser.add_argument("--weights", help="trained editor: asset name or path (default: the profile's)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("out/applications"), help="folder (default: %(default)s)")
    options = parser.parse_args()
    editor = Editor.load(options.config, device=options.device, weights=options.weights)
    seeds, references = parse_seeds(options.seeds), parse_seeds(options.references)
    print(sheets.save(sheets.sequence_sheet(editor, seeds, list(SEQUENCE)), options.out / "sequence.jpg"))
    sheet = sheets.reference_sheet(editor, seeds[0], references, list(WHERES))
    print(sheets.save(sheet, options.out / "references.jpg"))
    print(sheets.save(sheets.two_prompt_sheet(editor, seeds, list(PAIRS)), options.out / "two_prompts.jpg"))


if __name__ == "__main__":
    run(main)
