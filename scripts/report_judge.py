"""Write the judge's report, docs/judge_report.md: its AUC per attribute and painted concept.

python scripts/report_judge.py --data <CelebA folder> --attributes <csv> --out out/judge
"""

import argparse
import json
from pathlib import Path

from safetensors import safe_open

from where2edit import cli
from where2edit import encoder_writing as writing
from where2edit.assets import shipped
from where2edit.backbones.judge import WEIGHTS, Judge
from where2edit.config import build
from where2edit.data import celeba
from where2edit.encoder_report import judge_table
from where2edit.encoder_training import EncoderConfig, material


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the aligned CelebA pictures")
    parser.add_argument("--attributes", type=Path, required=True, help="their attribute CSV")
    parser.add_argument("--weights", type=Path, help="default: the shipped ones")
    parser.add_argument("--out", type=Path, default=Path("out/judge"), help="work folder of the training")
    parser.add_argument("--report", type=Path, default=Path("docs/judge_report.md"))
    args = parser.parse_args()
    weights = args.weights or shipped(WEIGHTS)
    judge = Judge.load(weights)
    with safe_open(weights, "pt") as file:
        about = file.metadata()
    config = build(EncoderConfig, json.loads(about["config"]))
    table = celeba.read_attributes(args.attributes)
    rows = table.validation().nonzero().flatten()
    photos = celeba.read_images(args.data, [table.names[row] for row in rows], config.material.size)
    args.out.mkdir(parents=True, exist_ok=True)
    faces = material(config.material, args.data, table, args.out, "cpu")[2]
    facts = {
        "command": "python scripts/report_judge.py --data ... --attributes ...",
        "photos": len(photos), "faces": len(faces), "weights": writing.sha256(weights),
        "config": about["config_digest"],
    }  # fmt: skip
    args.report.write_text(
        writing.judge_page(judge_table(judge, photos, table.values[rows], faces), facts), encoding="utf-8"
    )
    print(f"{args.report}")


if __name__ == "__main__":
    cli.run(main)
