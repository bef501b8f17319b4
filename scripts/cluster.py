"""Fit the regions of a profile: k-means on the features of its blend site. What is fitted already is kept.

Where the training of the profile asks for it, face parsing then finds out which parts of a face the regions show.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from where2edit.commands.cli import run
from where2edit.editing import region_shares, regions
from where2edit.editor.build import build_generator
from where2edit.editor.profile import load_profile
from where2edit.files import assets, pictures

FACES = range(1000, 1006)  # seeds of the faces in the sheet; none of them takes part in the fit


def main() -> None:
    epilog = "example: python scripts/cluster.py --config configs/mobile.yaml --k 10 20 60"
    parser = argparse.ArgumentParser(description=__doc__, epilog=epilog)
    parser.add_argument("--config", default="configs/mobile.yaml", help="profile (default: %(default)s)")
    parser.add_argument("--k", type=int, nargs="+", help="numbers of regions (default: the profile's)")
    parser.add_argument("--out", type=Path, help="folder of the centres (default: where the profile looks for them)")
    parser.add_argument("--sheet", type=Path, help="picture of the regions over faces, for example out/regions.png")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("overrides", nargs="*", help="section.key=value changes of the config")
    args = parser.parse_args()
    config = load_profile(args.config, args.overrides)
    generator = build_generator(config, args.device)
    fitted = []
    for k in args.k or [config.regions.k]:
        each = replace(config, regions=replace(config.regions, k=k))
        path = (args.out or assets.shipped("pretrained_models")) / Path(each.regions_file).name
        fitted.append(regions.fit_or_load(generator, each.regions, path))
        if config.reads_region_names:
            region_shares.name(generator, fitted[-1], path)
        print(f"{path}: {k} regions, inertia {fitted[-1].inertia:.6g}")
    if args.sheet:
        print(pictures.save_png(draw(generator, config, fitted), args.sheet))


@torch.no_grad()
def draw(generator, config, fitted):
    """A sheet: faces in the first row, then one row of labels for each set of regions."""
    w = generator.w(generator.sample_z(FACES), config.generator.truncation)
    sources = [generator.source(each[None]) for each in w]
    rows = [[source.image[0] for source in sources]]
    for each in fitted:
        labels = [each.label(source.features[each.config.site]) for source in sources]
        rows.append([pictures.overlay_regions(s.image, x)[0] for s, x in zip(sources, labels, strict=True)])
    return pictures.sheet(rows, ["faces", *(f"k = {each.num_regions}" for each in fitted)])


if __name__ == "__main__":
    run(main)
