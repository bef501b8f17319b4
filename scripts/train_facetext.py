"""Train facetext; the same command goes on where it stopped.

python scripts/train_facetext.py --data <CelebA folder> --attributes <csv> --out out/facetext
OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 scripts/train_facetext.py ...   # two processes, the quickest on two cores
python scripts/train_facetext.py ... --weights <trained weights>   # the refining steps alone, from these weights
python scripts/report_facetext.py --data <CelebA folder> --attributes <csv> --out out/facetext
"""

from where2edit.commands.cli import run_command
from where2edit.commands.train_facetext import main

if __name__ == "__main__":
    run_command(main, __doc__)
