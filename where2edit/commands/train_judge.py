"""Training of the judge, the attribute classifier that measures edits."""

from __future__ import annotations

from argparse import Namespace

import torch
from torch import nn

from where2edit.backbones.judge import from_parsing
from where2edit.commands.celeba_options import training_parser
from where2edit.commands.outputs import writable
from where2edit.core.config import load
from where2edit.core.distributed import start_processes
from where2edit.facetext import celeba
from where2edit.facetext.balance import Balance
from where2edit.facetext.batches import training_batches
from where2edit.facetext.config import EncoderConfig
from where2edit.facetext.material import training_material
from where2edit.facetext.measures import judge_auc
from where2edit.facetext.objectives import concept_loss
from where2edit.facetext.phrases import NAMES
from where2edit.facetext.publishing import publish
from where2edit.facetext.trainer import EncoderTrainer, fingerprint
from where2edit.files.manifest import found
from where2edit.training.run_folder import run_folder

REPORT_EVERY = 200  # steps
RESULT = "judge.safetensors"


def main(help_text: str) -> None:
    """Train, or go on where the run in --out stopped, and write judge.safetensors."""
    options = training_parser(help_text, "judge").parse_args()
    config = load(EncoderConfig, found(options.config), options.overrides)
    device = start_processes(options.device)
    with run_folder(writable(options.out), fingerprint(config), config.schedule.steps, RESULT):
        train(options, config, device)


def train(options: Namespace, config: EncoderConfig, device: str) -> None:
    """The training itself, in a folder that is held; `options`: those of the command line."""
    photos, table = celeba.read_photos(options.data, options.attributes, config.material.size)
    parsed, generated = training_material(config.material, options.data, table, options.out, device)
    torch.manual_seed(config.schedule.seed)
    judge = from_parsing(NAMES)
    fresh = [*judge.trunk.layer4.parameters(), *judge.head.parameters()]
    balance = Balance(config.within_groups)
    source = training_batches(config, photos, table, parsed, generated)
    loss = concept_loss(balance)
    kept = table.validation()

    def report(net: nn.Module) -> dict[str, float]:
        return judge_auc(net, photos[kept], table.values[kept])

    what = (judge, fresh, [], source, balance, loss, config, options.out, device)
    trainer = EncoderTrainer(*what, report, REPORT_EVERY)
    trainer.run()
    publish(trainer.average, options.out / RESULT, config, "judge", names=",".join(NAMES))
    print(f"weights in {options.out / RESULT}")
