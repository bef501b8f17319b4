"""Can people tell edits from faces that have the attribute by nature? Writes a page of pairs to click through.

python scripts/blind_test.py                                              # each prompt of the table editor, two pairs
python scripts/blind_test.py --prompt "blond hair" --prompt "a big smile" --pairs 10
python scripts/blind_test.py --pairs 4 --seed 300 --out out/second_test   # other faces in another order

The folder gets index.html (open it in a browser), pairs-01.png and so on (the same pairs, numbered) and answers.json.
"""

from where2edit.commands.blind_test import main
from where2edit.commands.cli import run_command

if __name__ == "__main__":
    run_command(main, __doc__)
