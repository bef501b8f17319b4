"""Write the report of words, docs/understanding.md: which prompts are understood, and what denials do.

python scripts/report_words.py                # 12 denials on 20 faces that show it and 20 that do not
python scripts/report_words.py --n 5 --out out/words.md
"""

from where2edit.commands.cli import run_command
from where2edit.commands.report_words import main

if __name__ == "__main__":
    run_command(main, __doc__)
