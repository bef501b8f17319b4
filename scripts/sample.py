"""Generate faces: a sheet of one image per seed.

python scripts/sample.py --seeds 0-7                 # eight faces of the default profile, out/faces.png
"""

from where2edit.commands.cli import run_command
from where2edit.commands.sample import main

if __name__ == "__main__":
    run_command(main, __doc__)
