"""Train an editor; the same command goes on where an interrupted run stopped.

python scripts/train.py --config configs/mobile.yaml --out out/train     # one process; two are quicker
python scripts/train.py --config configs/methods/feat.yaml --prompt "a beard" --prompt bangs --out out/feat
torchrun --nproc_per_node 8 scripts/train.py --config configs/ffhq.yaml --out out/ffhq    # the paper: 10,000 steps
"""

from where2edit.commands.cli import run_command
from where2edit.commands.train import main

if __name__ == "__main__":
    run_command(main, __doc__)
