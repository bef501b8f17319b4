"""Fit the preview head of a profile: features of one site -> a small picture, for cheap editor training on a CPU.

python scripts/train_preview.py --out out/preview-mobile-64.safetensors     # 64 px, about 6 minutes on one core, 29 dB

The recipe of the 128 px head is in pretrained_models/preview-mobile.md.
"""

from where2edit.commands.cli import run_command
from where2edit.commands.train_preview import main

if __name__ == "__main__":
    run_command(main, __doc__)
