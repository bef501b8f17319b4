"""The command line options that the scripts of facetext and of the judge share."""

from __future__ import annotations

import argparse
from pathlib import Path


def options(description: str, name: str) -> argparse.ArgumentParser:
    """A parser with the options of every one of these scripts; `name` is facetext or judge."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the aligned CelebA pictures")
    parser.add_argument("--attributes", type=Path, required=True, help="their attribute CSV")
    parser.add_argument("--out", type=Path, default=Path("out") / name, help="work folder of the training")
    return parser


def training_options(description: str, name: str) -> argparse.ArgumentParser:
    """What scripts/train_facetext.py and scripts/train_judge.py understand."""
    parser = options(description, name)
    parser.add_argument("--config", type=Path, default=Path(f"configs/{name}.yaml"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("overrides", nargs="*", help="key=value, such as schedule.steps=200")
    return parser


def report_options(description: str, name: str) -> argparse.ArgumentParser:
    """What scripts/report_facetext.py and scripts/report_judge.py understand."""
    parser = options(description, name)
    parser.add_argument("--weights", type=Path, help="default: the shipped ones")
    parser.add_argument("--report", type=Path, default=Path(f"docs/{name}_report.md"))
    return parser
