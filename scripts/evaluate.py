"""Measure the tables of the evaluation and write the report; what was measured before is not measured again.

python scripts/evaluate.py --table all --n 64                     # the default profile, results/mobile/report.md
python scripts/evaluate.py --config configs/ffhq.yaml --table all --paper
python scripts/evaluate.py --table methods --n 24                 # trains what is missing, compares all methods
python scripts/evaluate.py --table photos --photos portraits/     # inversions of photos and their edits
python scripts/evaluate.py --table editor --n 100 --row ours      # the editor prompt by prompt, 2,900 edits
torchrun --nproc-per-node 2 scripts/evaluate.py --table 1 --n 64  # the same figures from two processes
"""

from where2edit.commands.cli import run_command
from where2edit.commands.evaluate import main

if __name__ == "__main__":
    run_command(main, __doc__)
