"""The preview head of a profile: fitting it and writing it with its recipe."""

from __future__ import annotations

import dataclasses

from where2edit.commands.options import add_config, add_device, add_out, add_overrides, new_parser
from where2edit.core.devices import resolve_device
from where2edit.editing import preview_head
from where2edit.editor.build import build_generator
from where2edit.editor.profile import load_profile


def main(help_text: str) -> None:
    """Fit the head as the section `preview_head` says, and print its quality before and after."""
    parser = new_parser(help_text)
    add_config(parser)
    add_device(parser)
    add_out(parser, "pretrained_models/preview-mobile.safetensors", "safetensors to write")
    add_overrides(parser, "preview_head.steps=100")
    options = parser.parse_args()
    profile = load_profile(options.config, options.overrides)
    generator = build_generator(profile, resolve_device(options.device))
    head = preview_head.from_generator(generator, profile.preview_head.site)
    canvases = preview_head.collect(generator, profile.preview_head)
    untrained = preview_head.quality(head, canvases, range(len(canvases.targets)))
    fitted = preview_head.fit(head, canvases, profile.preview_head)
    recipe = {key: str(value) for key, value in dataclasses.asdict(profile.preview_head).items() if key != "weights"}
    preview_head.save(head, options.out, {"generator": generator.name, "psnr_db": f"{fitted:.2f}", **recipe})
    print(f"{options.out}: {fitted:.2f} dB on held-out canvases ({untrained:.2f} dB before the fit)")
