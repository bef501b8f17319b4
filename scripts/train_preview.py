"""Fit the preview head of a profile: 128-px features -> the 128-px picture, for cheap editor training on a CPU.

python scripts/train_preview.py --config configs/mobile.yaml        # about 4 minutes on two CPU cores, 33 dB
"""

from where2edit.commands.cli import run_command
from where2edit.commands.train_preview import main

if __name__ == "__main__":
    run_command(main, __doc__)
