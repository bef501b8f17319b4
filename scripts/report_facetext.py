"""Write facetext's report: docs/facetext_report.md, a JSON line per figure beside it, and the retrieval sheet.

python scripts/report_facetext.py --data <CelebA folder> --attributes <csv> --out out/facetext
"""

from where2edit.commands.cli import run_command
from where2edit.commands.report_facetext import main

if __name__ == "__main__":
    run_command(main, __doc__)
