"""facetext's report: its figures on photos and generated faces, and a sheet of what it finds for a prompt."""

from __future__ import annotations

import time

import torch

from where2edit.commands.celeba_options import report_parser
from where2edit.commands.outputs import MARKDOWN, new_file
from where2edit.facetext import report as writing
from where2edit.facetext import report_page
from where2edit.facetext.material import validation_material
from where2edit.files import tensorfile
from where2edit.files.assets import shipped
from where2edit.files.atomic import write_text
from where2edit.files.fingerprints import commit, file_sha256
from where2edit.files.pictures import save_jpeg
from where2edit.text_image.base import TextImageConfig
from where2edit.text_image.facetext import WEIGHTS, facetext


def main(help_text: str) -> None:
    """Measure facetext and write the page, a JSON line per figure beside it, and the retrieval sheet."""
    options = report_parser(help_text, "facetext").parse_args()
    new_file(options.report, MARKDOWN, overwrite=True, option="--report")
    weights = options.weights or shipped(WEIGHTS)
    begin = time.perf_counter()
    encoder = facetext(TextImageConfig(weights=str(weights)))
    loading = time.perf_counter() - begin
    about, config, photos, values, faces = validation_material(weights, options.data, options.attributes, options.out)
    figures = writing.everything(encoder, photos, values, faces)
    facts = {
        "command": "python scripts/report_facetext.py --data ... --attributes ...",
        "photos": len(photos),
        "faces": len(faces),
        "weights": file_sha256(weights),
        "config": tensorfile.entry(about, "config_digest", weights),
        "seed": config.schedule.seed,
        "commit": commit(short=True) or "unknown",
        "loading": loading,
    }
    options.report.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.report, report_page.page(figures, facts))
    write_text(options.report.with_suffix(".jsonl"), writing.json_lines(figures, facts))
    save_jpeg(writing.retrieval(encoder, faces), options.report.with_name("facetext_retrieval.jpg"), quality=88)
    met = [verdict.met for verdict in writing.verdicts(figures, facts)]
    print(f"{sum(met)} of {len(met)} figures met; {options.report}, {torch.get_num_threads()} threads")
