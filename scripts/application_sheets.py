"""Draw the paper's applications: sequential editing, regional style transfer and two-prompt editing.

python scripts/application_sheets.py --out out/sheets   # sequence.jpg, references.jpg, two_prompts.jpg (Figs. 10 to 12)
"""

from where2edit.commands.application_sheets import main
from where2edit.commands.cli import run_command

if __name__ == "__main__":
    run_command(main, __doc__)
