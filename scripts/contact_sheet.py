"""Draw a sheet of faces by prompts: the sources in the first column, one edit of each for every prompt.

python scripts/contact_sheet.py --out docs/edits.jpg --overwrite           # seeds 0-5, the prompts of the README
python scripts/contact_sheet.py --masks --prompt "blond hair" --seeds 0-9  # another choice, masks below the edits
"""

from where2edit.commands.cli import run_command
from where2edit.commands.contact_sheet import main

if __name__ == "__main__":
    run_command(main, __doc__)
