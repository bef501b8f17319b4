"""Time the operations and whole StyleGAN2 syntheses, and measure what each kind of convolution leaks."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from where2edit.commands import benchmark_ops, cli


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  python scripts/benchmark_ops.py\n"
        "  python scripts/benchmark_ops.py --device cpu --resolution 128 --out out/benchmark.md",
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="where to measure")
    parser.add_argument("--resolution", type=int, default=1024, help="of the generator, 128 to 1024")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks.md"), help="Markdown file with the section")
    args = parser.parse_args()
    text = benchmark_ops.report(torch.device(args.device), args.resolution)
    print(text)
    benchmark_ops.write_section(args.out, text)
    print(f"\nwritten to {args.out}")


if __name__ == "__main__":
    cli.run(main)
