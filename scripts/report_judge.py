"""Write the judge's report, docs/judge_report.md: its AUC per attribute and painted concept.

python scripts/report_judge.py --data <CelebA folder> --attributes <csv> --out out/judge
"""

from where2edit.backbones.judge import WEIGHTS, Judge
from where2edit.commands import cli
from where2edit.commands.encoder_options import report_options
from where2edit.facetext import report as writing
from where2edit.facetext.measures import judge_table
from where2edit.facetext.training import validation_material
from where2edit.files.assets import shipped


def main() -> None:
    args = report_options(__doc__, "judge").parse_args()
    weights = args.weights or shipped(WEIGHTS)
    judge = Judge.load(weights)
    about, _, photos, values, faces = validation_material(weights, args.data, args.attributes, args.out)
    facts = {
        "command": "python scripts/report_judge.py --data ... --attributes ...",
        "photos": len(photos), "faces": len(faces), "weights": writing.sha256(weights),
        "config": about["config_digest"],
    }  # fmt: skip
    args.report.write_text(writing.judge_page(judge_table(judge, photos, values, faces), facts), encoding="utf-8")
    print(f"{args.report}")


if __name__ == "__main__":
    cli.run(main)
