"""Train the inversion encoder of the default profile; the same command goes on where it stopped.

python scripts/train_encoder.py --data <CelebA folder> --attributes <csv> --out out/face_encoder
"""

from where2edit.commands.cli import run_command
from where2edit.commands.train_encoder import main

if __name__ == "__main__":
    run_command(main, __doc__)
