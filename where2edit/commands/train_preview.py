"""The fit of a profile's preview head, written with its recipe."""

from __future__ import annotations

import dataclasses

from where2edit.commands.options import add_config, add_device, add_out, add_overrides, add_overwrite, new_parser
from where2edit.commands.outputs import SAFETENSORS, new_file
from where2edit.core.devices import resolve_device
from where2edit.core.sentences import figure
from where2edit.editing import preview_head
from where2edit.editor.build import build_generator
from where2edit.editor.profile import load_profile
from where2edit.training import preview_fit


def main(help_text: str) -> None:
    """Fit the head as the section `preview_fit` says, and print its quality before and after."""
    parser = new_parser(help_text)
    add_config(parser)
    add_device(parser)
    add_out(parser, "out/preview.safetensors", "safetensors to write")
    add_overwrite(parser)
    add_overrides(parser, "preview_fit.steps=100")
    options = parser.parse_args()
    profile = load_profile(options.config, options.overrides)
    new_file(options.out, SAFETENSORS, options.overwrite)
    generator = build_generator(profile, resolve_device(options.device), "float32")
    site, recipe = profile.preview_head.site, profile.preview_fit
    head = preview_head.from_generator(generator, site)
    canvases = preview_fit.collect(generator, site, profile.generator.blend_site, recipe)
    untrained = preview_fit.quality(head, canvases, range(len(canvases.targets)))
    fitted = preview_fit.fit(head, canvases, recipe)
    about = {"site": site, **{key: str(value) for key, value in dataclasses.asdict(recipe).items()}}
    preview_head.save(head, options.out, {"generator": generator.name, "psnr_db": f"{fitted:.2f}", **about})
    before, after = figure(untrained, ".2f"), figure(fitted, ".2f")
    print(f"{options.out}: {after} dB on held-out canvases ({before} dB before the fit)")
