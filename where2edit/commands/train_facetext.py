"""Training of facetext, the text-image encoder of the default profile."""

from __future__ import annotations

from argparse import Namespace

from torch import nn

from where2edit.commands.celeba_options import training_parser
from where2edit.commands.options import named_path
from where2edit.commands.outputs import writable
from where2edit.core.config import load
from where2edit.core.distributed import start_processes
from where2edit.facetext import celeba
from where2edit.facetext.balance import Balance
from where2edit.facetext.batches import training_batches
from where2edit.facetext.caption_bank import caption_bank
from where2edit.facetext.captions import composites, singles
from where2edit.facetext.config import EncoderConfig
from where2edit.facetext.material import training_material
from where2edit.facetext.measures import mean_auc
from where2edit.facetext.objectives import CaptionLoss
from where2edit.facetext.publishing import publish
from where2edit.facetext.start import prepared_towers
from where2edit.facetext.trainer import EncoderTrainer, fingerprint
from where2edit.files.manifest import found
from where2edit.text_image.facetext import TEXT_LAYERS
from where2edit.text_image.minilm import MiniLM
from where2edit.training.run_folder import run_folder

REPORT_EVERY = 200  # steps
RESULT = "facetext.safetensors"


def main(help_text: str) -> None:
    """Train, or go on where the run in --out stopped, and write facetext.safetensors."""
    parser = training_parser(help_text, "facetext")
    parser.add_argument("--weights", type=named_path, help="trained weights: run the refining steps alone, from them")
    options = parser.parse_args()
    config = load(EncoderConfig, found(options.config), options.overrides)
    device = start_processes(options.device)
    with run_folder(writable(options.out), fingerprint(config, options.weights), config.schedule.steps, RESULT):
        train(options, config, device)


def train(options: Namespace, config: EncoderConfig, device: str) -> None:
    """The training itself, in a folder that is held; `options`: those of the command line."""
    photos, table = celeba.read_photos(options.data, options.attributes, config.material.size)
    parsed, generated = training_material(config.material, options.data, table, options.out, device)
    captions = singles() + composites(config.composites, config.schedule.seed)
    bank = caption_bank(captions, lambda: MiniLM.load(TEXT_LAYERS), options.out / "captions.safetensors")
    source = training_batches(config, photos, table, parsed, generated)
    towers = prepared_towers(source, bank, config, options.weights)
    balance = Balance(config.within_groups)
    loss = CaptionLoss(bank, balance, config)
    fresh, slow = [towers.log_scale, towers.bias], list(towers.text_head.parameters())
    kept = table.validation()

    def report(net: nn.Module) -> dict[str, float]:
        return mean_auc(net, bank, photos[kept], table.values[kept])

    what = (towers, fresh, slow, source, balance, loss, config, options.out, device)
    trainer = EncoderTrainer(*what, report, REPORT_EVERY, options.weights)
    if options.weights:
        trainer.skip_to(config.schedule.refine.start)
    trainer.run()
    publish(trainer.result(), options.out / RESULT, config, "facetext")
    print(f"weights in {options.out / RESULT}")
