"""Time the fast k-means against scikit-learn's with the released settings, on the same features of a profile.

Each path runs in a process of its own. Compare CPU seconds: they hardly depend on what else the machine does.

python scripts/benchmark_kmeans.py                                 # half an hour on one CPU core
python scripts/benchmark_kmeans.py --impl fast regions.samples=20   # a quick look
"""

from where2edit.commands.benchmark_kmeans import main
from where2edit.commands.cli import run_command

if __name__ == "__main__":
    run_command(main, __doc__)
