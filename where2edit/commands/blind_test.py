"""A blind test of edits against faces that have the attribute by nature."""

from __future__ import annotations

from collections import Counter

from where2edit.backbones.judge import Judge
from where2edit.commands.options import (
    add_config,
    add_device,
    add_number,
    add_out,
    add_overrides,
    add_overwrite,
    add_weights,
    new_parser,
)
from where2edit.commands.outputs import unclaimed, writable
from where2edit.core.bounds import Count, Few, Pixels, Seed
from where2edit.editor.editor import Editor
from where2edit.evaluation import protocols
from where2edit.evaluation.blind_page import INDEX, write_test
from where2edit.evaluation.blind_pairs import BlindPlan, chosen_prompts, make_pairs

TABLE = "editor"  # whose prompts are asked


def main(help_text: str) -> None:
    """Make the pairs and write the page, the sheets and the answers."""
    parser = new_parser(help_text)
    words = "a prompt of the table 'editor'; may be repeated (default: all of them that name an attribute)"
    parser.add_argument("--prompt", action="append", default=[], help=words)
    words = "pairs of each prompt, fewer where fewer natural faces are found"
    add_number(parser, "--pairs", Few, BlindPlan.each, words)
    words = "generated faces among which natural ones are looked for, at most"
    add_number(parser, "--faces", Count, BlindPlan.faces, words)
    words = "seed of the first face to edit, and of the order"
    add_number(parser, "--seed", Seed, BlindPlan.seed, words)
    words = "pixels of one picture on page and sheets"
    add_number(parser, "--size", Pixels, BlindPlan.size, words)
    add_config(parser)
    add_weights(parser)
    add_device(parser)
    add_out(parser, "out/blind_test", "folder of the page, the sheets and the answers")
    add_overwrite(parser)
    add_overrides(parser)
    options = parser.parse_args()
    plan = BlindPlan(options.pairs, options.faces, options.seed, options.size)
    prompts = chosen_prompts(protocols.load(TABLE).prompts, options.prompt)
    folder = writable(options.out)
    unclaimed(folder / INDEX, options.overwrite)
    editor = Editor.load(options.config, options.overrides, device=options.device, weights=options.weights)
    pairs = make_pairs(editor, Judge.load().to(editor.device), prompts, plan)
    count = Counter(pair.prompt for pair in pairs)
    if short := [f"{p.text} {count[p.text]}" for p in prompts if count[p.text] < plan.each]:
        print(f"fewer than {plan.each} pairs, since too few faces have it by nature: {', '.join(short)}")
    print("\n".join(map(str, write_test(folder, pairs, plan.size))))
