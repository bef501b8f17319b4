"""Time whole edits against the edited area, with the shipped editor and with StyleGAN2, beside the released pipeline.

python scripts/benchmark_edits.py
python scripts/benchmark_edits.py --rounds 3 --resolution 256 --out out/benchmarks.md
"""

from where2edit.commands.benchmark_edits import main
from where2edit.commands.cli import run_command

if __name__ == "__main__":
    run_command(main, __doc__)
