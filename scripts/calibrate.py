"""Calibrate natural strength for a profile: how much each prompt's cosine varies over faces that nobody has edited.

python scripts/calibrate.py --overwrite        # the shipped one anew: 140 faces, half a minute on two CPU cores
python scripts/calibrate.py --out out/calibration.safetensors natural_strength.faces=500
"""

from where2edit.commands.calibrate import main
from where2edit.commands.cli import run_command

if __name__ == "__main__":
    run_command(main, __doc__)
