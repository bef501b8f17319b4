"""The regions of a profile: fitting them, measuring which parts of a face they show, and a picture of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from where2edit.commands.options import add_config, add_device, add_overrides, new_parser
from where2edit.core.devices import resolve_device
from where2edit.editing import region_shares, regions
from where2edit.editing.regions import Regions
from where2edit.editor.build import build_generator
from where2edit.editor.profile import Profile, load_profile
from where2edit.files import assets, pictures
from where2edit.generators.base import Generator

SHEET_SEEDS = range(1000, 1006)  # faces of the sheet; none of them takes part in the fit


def main(help_text: str) -> None:
    """Fit the regions, or load those that were fitted before; draw them where --sheet is given."""
    parser = new_parser(help_text)
    parser.add_argument("--k", type=int, nargs="+", help="numbers of regions (default: the profile's)")
    words = "folder of the files of regions (default: pretrained_models, where the profile looks for them)"
    parser.add_argument("--out", type=Path, help=words)
    parser.add_argument("--sheet", type=Path, help="picture of the regions over faces, for example out/regions.png")
    add_config(parser)
    add_device(parser)
    add_overrides(parser, "regions.samples=50")
    options = parser.parse_args()
    profile = load_profile(options.config, options.overrides)
    generator = build_generator(profile, resolve_device(options.device))
    folder = options.out or assets.shipped("pretrained_models")
    fitted = [fit(generator, profile, k, folder) for k in options.k or [profile.regions.k]]
    if options.sheet:
        print(pictures.save_png(draw(generator, profile, fitted), options.sheet))


def fit(generator: Generator, profile: Profile, k: int, folder: Path) -> Regions:
    """The profile's regions with another k, from their file in `folder` or fitted and written there."""
    changed = replace(profile, regions=replace(profile.regions, k=k))
    path = folder / Path(changed.regions_file).name
    fitted = regions.fit_or_load(generator, changed.regions, profile.generator.blend_site, path)
    if profile.reads_region_shares:
        region_shares.measure_and_save(generator, fitted, path)
    print(f"{path}: {k} regions, inertia {fitted.inertia:.6g}")
    return fitted


@torch.no_grad()
def draw(generator: Generator, profile: Profile, fitted: list[Regions]) -> Image.Image:
    """A sheet: faces in the first row, then one row of labels for each set of regions."""
    w = generator.w(generator.sample_z(SHEET_SEEDS), profile.generator.truncation)
    sources = [generator.source(each[None]) for each in w]
    rows = [[source.image[0] for source in sources]]
    for each in fitted:
        labels = [each.label(source.features[each.site]) for source in sources]
        rows.append([pictures.overlay_regions(s.image, x)[0] for s, x in zip(sources, labels, strict=True)])
    return pictures.sheet(rows, ["faces", *(f"k = {each.num_regions}" for each in fitted)])
