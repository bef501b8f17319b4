"""Train an editor; the same command goes on where an interrupted run stopped.

python scripts/train.py --config configs/mobile.yaml --out out/train     one process; two are quicker
torchrun --nproc_per_node 8 scripts/train.py --config configs/ffhq.yaml --out out/ffhq    the paper: 10,000 steps
"""

from __future__ import annotations

import argparse
from pathlib import Path

from where2edit.commands import train as runs
from where2edit.commands.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/mobile.yaml", help="profile (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/train"), help="folder of the run (default: %(default)s)")
    parser.add_argument("--device", help="default: this process's GPU if there is one, else cpu")
    parser.add_argument("--init", help="trained editor to start from: asset name or path")
    parser.add_argument("overrides", nargs="*", help="section.key=value changes, for example training.steps=200")
    args = parser.parse_args()
    print(runs.train(args.config, args.overrides, args.out, args.device, args.init))


if __name__ == "__main__":
    run(main)
