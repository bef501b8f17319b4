"""The options of the scripts that train and report facetext and the judge, which all read CelebA."""

from __future__ import annotations

import argparse
from pathlib import Path

from where2edit.commands.options import add_device, add_out, add_overrides, named_path, new_parser


def _celeba_parser(help_text: str, network: str) -> argparse.ArgumentParser:
    parser = new_parser(help_text)
    parser.add_argument("--data", type=named_path, required=True, help="folder of the aligned CelebA pictures")
    parser.add_argument("--attributes", type=named_path, required=True, help="CelebA's attribute table, a CSV")
    add_out(parser, f"out/{network}", "folder of the training run")
    return parser


def training_parser(help_text: str, network: str) -> argparse.ArgumentParser:
    """The parser of scripts/train_facetext.py and scripts/train_judge.py; `network` is facetext or judge."""
    parser = _celeba_parser(help_text, network)
    config = Path(f"configs/{network}.yaml")
    parser.add_argument("--config", type=named_path, default=config, help="YAML file of the run (default: %(default)s)")
    add_device(parser)
    add_overrides(parser, "schedule.steps=200")
    return parser


def report_parser(help_text: str, network: str) -> argparse.ArgumentParser:
    """The parser of scripts/report_facetext.py and scripts/report_judge.py; `network` is facetext or judge."""
    parser = _celeba_parser(help_text, network)
    parser.add_argument("--weights", type=named_path, help="safetensors to measure (default: the shipped ones)")
    page = Path(f"docs/{network}_report.md")
    parser.add_argument("--report", type=named_path, default=page, help="Markdown page to write (default: %(default)s)")
    return parser
