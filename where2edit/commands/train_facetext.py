"""Training of facetext, the text-image encoder of the default profile."""

from __future__ import annotations

from pathlib import Path

from where2edit.commands.celeba_options import training_parser
from where2edit.core.config import load
from where2edit.core.distributed import start_processes
from where2edit.facetext import celeba, training
from where2edit.facetext.caption_bank import build, composites, singles
from where2edit.facetext.face_batches import Balance
from where2edit.facetext.measures import mean_auc
from where2edit.text_image.facetext import TEXT_LAYERS
from where2edit.text_image.minilm import MiniLM


def main(help_text: str) -> None:
    """Train, or go on where the run in --out stopped, and write facetext.safetensors."""
    parser = training_parser(help_text, "facetext")
    parser.add_argument("--weights", type=Path, help="trained weights: run the refining steps alone, from them")
    options = parser.parse_args()
    config = load(training.EncoderConfig, options.config, options.overrides)
    device = start_processes(options.device)
    options.out.mkdir(parents=True, exist_ok=True)
    table = celeba.read_attributes(options.attributes)
    photos = celeba.read_images(options.data, table.names, config.material.size)
    parsed, generated = training.material(config.material, options.data, table, options.out, device)
    captions = singles() + composites(config.composites, config.schedule.seed)
    bank = build(captions, lambda: MiniLM.load(TEXT_LAYERS), options.out / "captions.safetensors")
    source = training.batches(config, photos, table, parsed, generated)
    towers = training.prepared_towers(source, bank, config, options.weights)
    balance = Balance(config.within_groups)
    loss = training.CaptionLoss(bank, balance, config)
    fresh, slow = [towers.log_scale, towers.bias], list(towers.text_head.parameters())
    run = training.Run(towers, fresh, slow, source, balance, loss, config, options.out, device)
    if options.weights:
        run.skip_to(config.schedule.refine.start)
    kept = table.validation()
    run.advance(lambda net: mean_auc(net, bank, photos[kept], table.values[kept]), report_every=200)
    training.publish(run.result(), options.out / "facetext.safetensors", config, "facetext")
    print(f"weights in {options.out / 'facetext.safetensors'}")
