"""Every table of the paper by one command; what was measured before is not measured again.

python scripts/evaluate.py --table all --n 64                     the default profile, results/mobile/report.md
python scripts/evaluate.py --table 1 --table masks                two tables with their own numbers of samples
python scripts/evaluate.py --config configs/ffhq.yaml --table all --paper --device cuda
python scripts/evaluate.py --table editor --n 100 --row ours      the editor prompt by prompt, 2,900 edits
torchrun --nproc-per-node 2 scripts/evaluate.py --table 1 --n 64  the same figures from two processes
"""

from __future__ import annotations

import argparse
from pathlib import Path

from where2edit.commands import evaluate as command
from where2edit.commands.cli import run
from where2edit.evaluation import protocols


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = ", ".join(protocols.names())
    tables = f"1-4, all (but editor), or: {known}; may be repeated"
    parser.add_argument("--table", action="append", required=True, help=tables)
    parser.add_argument("--config", default="configs/mobile.yaml", help="profile (default: %(default)s)")
    parser.add_argument("--weights", help="trained editor: asset name or path (default: the profile's)")
    parser.add_argument("--row", action="append", default=[], help="only this row of the tables; may be repeated")
    parser.add_argument("--n", type=int, help="pairs of source and prompt in every row (default: the protocol's)")
    parser.add_argument("--paper", action="store_true", help="the paper's number, every prompt on each source")
    parser.add_argument("--heldout", help="text-image encoder that no training saw: NAME[:MODEL][:WEIGHTS or FILE]")
    parser.add_argument("--inception-logits", type=Path, help="torch-fidelity's Inception file, for inception_score")
    parser.add_argument("--real", type=Path, help="folder of real photos, for fid_vs_real")
    parser.add_argument("--batch", type=int, default=2, help="sources edited together (default: %(default)s)")
    parser.add_argument("--processes", type=int, help="on a CPU (default: one per core that has 5 GB of memory)")
    parser.add_argument("--seed", type=int, default=100000, help="seed of the first source (default: %(default)s)")
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--out", type=Path, help="folder (default: results/ and the profile's name)")
    parser.add_argument("overrides", nargs="*", help="section.key=value changes of the config")
    return command.main(parser.parse_args())


if __name__ == "__main__":
    run(main)
