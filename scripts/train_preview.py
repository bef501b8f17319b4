"""Train the preview head of a profile: 128-px features -> the 128-px picture, for cheap editor training on a CPU."""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path

import torch
from safetensors.torch import save_file

from where2edit import preview
from where2edit.cli import run
from where2edit.generators import GENERATORS
from where2edit.generators.base import GeneratorConfig


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: python scripts/train_preview.py --steps 2000"
    )
    parser.add_argument("--generator", default="mobilestylegan")
    parser.add_argument("--weights", help="safetensors of the generator; default: its own asset")
    parser.add_argument("--steps", type=int, default=preview.PreviewConfig.steps)
    parser.add_argument("--canvases", type=int, default=preview.PreviewConfig.canvases)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path("pretrained_models/preview-mobile.safetensors"))
    args = parser.parse_args()
    config = preview.PreviewConfig(steps=args.steps, canvases=args.canvases)
    generator = GENERATORS.get(args.generator)(GeneratorConfig(name=args.generator, weights=args.weights)).to(
        args.device
    )
    head, quality = preview.train(generator, config)
    sizes = {"preview_channels": str(generator.site(config.site).channels), "preview_hidden": str(config.hidden)}
    recipe = {key: str(value) for key, value in dataclasses.asdict(config).items()}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    partial = args.out.with_suffix(".partial")
    tensors = {name: value.half().cpu().contiguous() for name, value in head.state_dict().items()}
    save_file(tensors, partial, {"generator": args.generator, "psnr_db": f"{quality:.2f}", **sizes, **recipe})
    os.replace(partial, args.out)
    print(f"{args.out}: {quality:.2f} dB on the held-out canvases")


if __name__ == "__main__":
    run(main)
