"""The calibration of a profile's natural strength: measured on generated faces, written with what it depends on."""

from __future__ import annotations

from pathlib import Path

from where2edit.commands.options import add_config, add_device, add_overrides, add_overwrite, named_path, new_parser
from where2edit.commands.outputs import SAFETENSORS, new_file
from where2edit.core.devices import resolve_device
from where2edit.editing import cosine_calibration
from where2edit.editor.build import build_encoder, build_frozen
from where2edit.editor.profile import load_profile
from where2edit.files import assets


def main(help_text: str) -> None:
    """Measure the calibration as the section `natural_strength` says, and write it where the profile looks for it."""
    parser = new_parser(help_text)
    words = "safetensors to write (default: natural_strength.calibration, where the profile looks for it)"
    parser.add_argument("--out", type=named_path, help=words)
    add_config(parser)
    add_device(parser)
    add_overwrite(parser)
    add_overrides(parser, "natural_strength.faces=500")
    options = parser.parse_args()
    profile = load_profile(options.config, options.overrides)
    config, device = profile.natural_strength, resolve_device(options.device)
    if options.out is None and config.calibration is None:
        raise ValueError(
            f"profile '{profile.name}' names no file for its calibration; give one with --out, for example "
            f"out/calibration-{profile.name}.safetensors, and then name it in natural_strength.calibration"
        )
    wanted = Path(config.calibration or "")
    path = options.out or assets.shipped(str(wanted.parent)) / wanted.name
    new_file(path, SAFETENSORS, options.overwrite)
    encoder = build_encoder(profile, device)
    frozen = build_frozen(profile, encoder, device, "float32")
    preview = frozen.own_preview
    what = (frozen.generator, encoder, preview, config.faces, profile.generator.truncation)
    cosine_calibration.measure(*what).save(path)
    print(f"{path}: {config.faces} unedited faces, from seed {cosine_calibration.FIRST_SEED} on")
