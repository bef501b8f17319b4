"""Edit a face by words; only the region that the words name changes.

python scripts/edit.py --prompt "blond hair" --seed 3                                # picture, sheet, recipe
python scripts/edit.py --prompt "blond hair" --prompt "a big smile" --seeds 0-3      # one after the other
python scripts/edit.py --prompt "grey hair" --where "blond hair" --seed 3            # two prompts
python scripts/edit.py --prompt "an old person" --seed 3 --sweep                     # a row of strengths
python scripts/edit.py --photo me.jpg --prompt "a beard" --out out/me                # your own photo
python scripts/edit.py --replay out/edit/seed0003-blond-hair.json                    # the same bytes again
"""

from where2edit.commands.cli import run_command
from where2edit.commands.edit import main

if __name__ == "__main__":
    run_command(main, __doc__)
