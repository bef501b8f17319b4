"""Generate faces (with label maps) or parse the photos of CelebA, packed for scripts/train_facetext.py.

python scripts/make_faces.py --out out/faces.safetensors --seeds 100000-103999
python scripts/make_faces.py --out out/celeba.safetensors --data <CelebA folder> --attributes <csv> --limit 2500
"""

from where2edit.commands.cli import run_command
from where2edit.commands.make_faces import main

if __name__ == "__main__":
    run_command(main, __doc__)
