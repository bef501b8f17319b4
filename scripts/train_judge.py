"""Train the judge, the attribute classifier that measures edits; the same command goes on where it stopped.

python scripts/train_judge.py --data <CelebA folder> --attributes <csv> --out out/judge
"""

from where2edit.commands.cli import run_command
from where2edit.commands.train_judge import main

if __name__ == "__main__":
    run_command(main, __doc__)
