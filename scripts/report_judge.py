"""Write the judge's report, docs/judge_report.md: its AUC per attribute and painted concept.

python scripts/report_judge.py --data <CelebA folder> --attributes <csv> --out out/judge
"""

from where2edit.commands.cli import run_command
from where2edit.commands.report_judge import main

if __name__ == "__main__":
    run_command(main, __doc__)
