"""Write facetext's report: docs/facetext_report.md, a JSON line per figure beside it, and the retrieval sheet.

python scripts/report_facetext.py --data <CelebA folder> --attributes <csv> --out out/facetext
"""

import argparse
import json
import time
from pathlib import Path

import torch
from safetensors import safe_open

from where2edit import cli
from where2edit import encoder_writing as writing
from where2edit.assets import shipped
from where2edit.config import build
from where2edit.data import celeba
from where2edit.encoder_training import EncoderConfig, material
from where2edit.text_image.base import TextImageConfig
from where2edit.text_image.facetext import WEIGHTS, facetext


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the aligned CelebA pictures")
    parser.add_argument("--attributes", type=Path, required=True, help="their attribute CSV")
    parser.add_argument("--weights", type=Path, help="default: the shipped ones")
    parser.add_argument("--out", type=Path, default=Path("out/facetext"), help="work folder of the training")
    parser.add_argument("--report", type=Path, default=Path("docs/facetext_report.md"))
    args = parser.parse_args()
    weights = args.weights or shipped(WEIGHTS)
    begin = time.perf_counter()
    encoder = facetext(TextImageConfig(weights=str(weights)))
    loading = time.perf_counter() - begin
    with safe_open(weights, "pt") as file:
        about = file.metadata()
    config = build(EncoderConfig, json.loads(about["config"]))
    table = celeba.read_attributes(args.attributes)
    rows = table.validation().nonzero().flatten()
    photos = celeba.read_images(args.data, [table.names[row] for row in rows], config.material.size)
    args.out.mkdir(parents=True, exist_ok=True)
    faces = material(config.material, args.data, table, args.out, "cpu")[2]
    figures = writing.everything(encoder, photos, table.values[rows], faces)
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
