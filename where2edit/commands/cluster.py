"""The regions of a profile: fitting them, measuring which parts of a face they show, and a picture of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from where2edit.commands.options import (
    add_config,
    add_device,
    add_overrides,
    add_overwrite,
    named_path,
    new_parser,
    number,
)
from where2edit.commands.outputs import PNG, new_file, writable
from where2edit.core.devices import resolve_device
from where2edit.core.sentences import figure
from where2edit.editing import region_shares, regions
from where2edit.editing.regions import RegionCount, Regions
from where2edit.editor.build import build_generator
from where2edit.editor.profile import Profile, load_profile
from where2edit.files import assets, pictures
from where2edit.generators.base import Generator

SHEET_SEEDS = range(1000, 1006)  # faces of the sheet; none of them takes part in the fit


def main(help_text: str) -> None:
    """Fit the regions, or load those that were fitted before; draw them where --sheet is given."""
    parser = new_parser(help_text)
    parser.add_argument("--k", type=number(RegionCount), nargs="+", help="numbers of regions (default: the profile's)")
    words = "folder of the files of regions (default: pretrained_models, where the profile looks for them)"
    parser.add_argument("--out", type=named_path, help=words)
    parser.add_argument(
        "--sheet", type=named_path, help="picture of the regions over faces, for example out/regions.png"
    )
    add_config(parser)
    add_device(parser)
    add_overwrite(parser)
    add_overrides(parser, "regions.samples=50")
    options = parser.parse_args()
    profile = load_profile(options.config, options.overrides)
    if options.sheet:
        new_file(options.sheet, PNG, options.overwrite, "--sheet")
    folder = options.out or assets.shipped("pretrained_models")
    profiles = {folder / Path(each.regions_file).name: each for each in variants(profile, options.k)}
    generator = build_generator(profile, resolve_device(options.device))
    missing = [path for path, each in profiles.items() if not known(each, generator, path, options.overwrite)]
    if missing:
        writable(folder)
    fitted = [fit(generator, each, path, options.overwrite or path in missing) for path, each in profiles.items()]
    if options.sheet:
        print(pictures.save_png(draw(generator, profile, fitted), options.sheet))


def variants(profile: Profile, numbers: list[int] | None) -> list[Profile]:
    """The profile with each number of regions, or as it is where none is given."""
    return [replace(profile, regions=replace(profile.regions, k=k)) for k in numbers or [profile.regions.k]]


def known(profile: Profile, generator: Generator, path: Path, overwrite: bool) -> bool:
    """Whether the profile's regions are at `path` already. Raises ValueError for others, which are not overwritten."""
    if not path.is_file():
        return False
    try:
        Regions.load(path).check_fitted(generator.name, profile.generator.blend_site, profile.regions)
    except ValueError as error:
        if not overwrite:
            advice = "give these a name (name=mine), another --out, or --overwrite"
            raise ValueError(f"{path} holds other regions: {error}; {advice}") from None
        return False
    return True


def fit(generator: Generator, profile: Profile, path: Path, write: bool) -> Regions:
    """The profile's regions, from their file or fitted and written there.

    `write`: where training asks for it, parts of a face are measured too. Regions and parts are written together, so
    that no kill leaves regions that the next run takes for finished.
    """
    measures = profile.reads_region_shares and write
    fitted = regions.fit_or_load(generator, profile.regions, profile.generator.blend_site, path, save=not measures)
    if measures:
        region_shares.measure_and_save(generator, fitted, path)
    elif profile.reads_region_shares and fitted.shares is None:
        print(f"{path} does not say which parts of a face it shows, which training reads; --overwrite measures it")
    print(f"{path}: {profile.regions.k} regions, inertia {figure(fitted.inertia, '.6g')}")
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
