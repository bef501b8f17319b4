"""Fit the regions of a profile: k-means on the features of its blend site. What is fitted already is kept.

Where the training of the profile asks for it, face parsing then finds out which parts of a face the regions show.

python scripts/cluster.py --config configs/mobile.yaml
python scripts/cluster.py --k 10 20 --sheet out/regions.png regions.by_parts=false
python scripts/cluster.py name=mine regions.seed=7                      # others, which the same two changes then find
"""

from where2edit.commands.cli import run_command
from where2edit.commands.cluster import main

if __name__ == "__main__":
    run_command(main, __doc__)
