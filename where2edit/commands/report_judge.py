"""The judge's report: its AUC per attribute of CelebA, and per painted concept (those that CelebA lacks)."""

from __future__ import annotations

from where2edit.backbones.judge import WEIGHTS, Judge
from where2edit.commands.celeba_options import report_parser
from where2edit.commands.outputs import MARKDOWN, new_file
from where2edit.facetext import report_page
from where2edit.facetext.altered_faces import judge_table
from where2edit.facetext.material import validation_material
from where2edit.files import tensorfile
from where2edit.files.assets import shipped
from where2edit.files.atomic import write_text
from where2edit.files.fingerprints import file_sha256


def main(help_text: str) -> None:
    """Measure the judge and write the page."""
    options = report_parser(help_text, "judge").parse_args()
    new_file(options.report, MARKDOWN, overwrite=True, option="--report")
    weights = options.weights or shipped(WEIGHTS)
    judge = Judge.load(weights)
    about, _, photos, values, faces = validation_material(weights, options.data, options.attributes, options.out)
    facts = {
        "command": "python scripts/report_judge.py --data ... --attributes ...",
        "photos": len(photos),
        "faces": len(faces),
        "weights": file_sha256(weights),
        "config": tensorfile.entry(about, "config_digest", weights),
    }
    write_text(options.report, report_page.judge_page(judge_table(judge, photos, values, faces), facts))
    print(f"{options.report}")
