"""The report of how words are understood: known and unknown prompts, and denials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from where2edit.commands.options import (
    add_config,
    add_device,
    add_number,
    add_out,
    add_overrides,
    add_weights,
    new_parser,
)
from where2edit.commands.outputs import MARKDOWN, new_file
from where2edit.core.bounds import Bounds, Few
from where2edit.editor.editor import Editor
from where2edit.evaluation.natural_faces import NaturalFaceStore
from where2edit.evaluation.networks import build_networks
from where2edit.evaluation.options import EvaluationOptions
from where2edit.evaluation.words_report import SKIPPED, measure_denials, page
from where2edit.files.assets import cache_folder
from where2edit.files.atomic import write_text

Searched: TypeAlias = Annotated[int, Bounds(SKIPPED, 1_000_000, above=True)]


def main(help_text: str) -> None:
    """Measure and write the page."""
    parser = new_parser(help_text)
    add_number(parser, "--n", Few, 20, "faces of each kind per denial")
    add_number(parser, "--natural-faces", Searched, 4000, "unedited faces among which they are looked for")
    add_config(parser)
    add_weights(parser)
    add_device(parser)
    add_out(parser, "docs/understanding.md", "the page")
    add_overrides(parser)
    options = parser.parse_args()
    new_file(options.out, MARKDOWN, overwrite=True)
    editor = Editor.load(options.config, options.overrides, device=options.device, weights=options.weights)
    if editor.vocabulary is None:
        raise ValueError(
            f"only facetext can be asked what it knows; profile '{editor.profile.name}' has another encoder"
        )
    networks = build_networks(editor.profile, editor.encoder, str(editor.device), EvaluationOptions(), Path())
    faces = options.natural_faces, editor.profile.generator.truncation
    natural = NaturalFaceStore(cache_folder() / "natural-faces", editor.frozen.generator, networks, *faces).read()
    denials = measure_denials(editor, networks["judge"], natural, options.n)
    facts = (
        f"Written by `python scripts/report_words.py` with profile `{editor.profile.name}` (generator "
        f"`{editor.frozen.generator.name}`, encoder `facetext`); faces among {len(natural)} unedited ones of the "
        f"evaluation, the first {SKIPPED} left out."
    )
    write_text(options.out, page(editor.vocabulary, denials, facts))
    print(options.out)
