"""Write the sample caption corpus of celeba-caption/.

python scripts/write_captions.py --out celeba-caption --overwrite
"""

from where2edit.commands.cli import run_command
from where2edit.commands.write_captions import main

if __name__ == "__main__":
    run_command(main, __doc__)
