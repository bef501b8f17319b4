"""Invert the faces of a photo, as scripts/edit.py --photo does first; edits with the same --out then begin at once.

python scripts/invert.py --photo me.jpg --out out/me                                   # and a picture that shows it
python scripts/invert.py --photo group.jpg --face all --quality best --out out/group
python scripts/edit.py --photo me.jpg --prompt "a big smile" --out out/me              # an edit of what was inverted
"""

from where2edit.commands.cli import run_command
from where2edit.commands.invert import main

if __name__ == "__main__":
    run_command(main, __doc__)
