"""Write facetext's report: docs/facetext_report.md, a JSON line per figure beside it, and the retrieval sheet.

python scripts/report_facetext.py --data <CelebA folder> --attributes <csv> --out out/facetext
"""

import time

import torch

from where2edit.commands import cli
from where2edit.commands.encoder_options import report_options
from where2edit.facetext import report as writing
from where2edit.facetext.training import validation_material
from where2edit.files.assets import shipped
from where2edit.text_image.base import TextImageConfig
from where2edit.text_image.facetext import WEIGHTS, facetext


def main() -> None:
    args = report_options(__doc__, "facetext").parse_args()
    weights = args.weights or shipped(WEIGHTS)
    begin = time.perf_counter()
    encoder = facetext(TextImageConfig(weights=str(weights)))
    loading = time.perf_counter() - begin
    about, config, photos, values, faces = validation_material(weights, args.data, args.attributes, args.out)
    figures = writing.everything(encoder, photos, values, faces)
    facts = {
        "command": "python scripts/report_facetext.py --data ... --attributes ...",
        "photos": len(photos), "faces": len(faces), "weights": writing.sha256(weights),
        "config": about["config_digest"], "seed": config.schedule.seed, "commit": writing.commit(),
        "loading": loading,
    }  # fmt: skip
    args.report.parent.mkdir(parents=True, exist_ok=True)
    args.report.write_text(writing.page(figures, facts), encoding="utf-8")
    args.report.with_suffix(".jsonl").write_text(writing.json_lines(figures, facts), encoding="utf-8")
    writing.retrieval(encoder, faces).save(args.report.with_name("facetext_retrieval.jpg"), quality=88)
    met = [verdict.met for verdict in writing.verdicts(figures, facts)]
    print(f"{sum(met)} of {len(met)} figures met; {args.report}, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    cli.run(main)
