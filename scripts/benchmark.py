"""Measure speed and memory: edits, training steps, the clustering, operations. Every figure is a ratio of one run.

python scripts/benchmark.py edit                             # whole edits beside the released pipeline; growth curves
python scripts/benchmark.py train training.prompts=8          # a training step in its parts; growth with the prompts
python scripts/benchmark.py cluster --budget 600              # k-means beside scikit-learn's, in processes of their own
python scripts/benchmark.py ops --resolution 256              # operations, whole syntheses, and what convolutions leak
python scripts/benchmark.py all --device cuda --budget 20     # everything on a GPU
python scripts/benchmark.py all --quick --out out/quick.md    # everything with configs/toy.yaml: does it run?
"""

from where2edit.commands.benchmark import main
from where2edit.commands.cli import run_command

if __name__ == "__main__":
    run_command(main, __doc__)
