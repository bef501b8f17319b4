"""Train the judge, the attribute classifier that measures edits; the same command goes on where it stopped.

python scripts/train_judge.py --data <CelebA folder> --attributes <csv> --out out/judge
"""

import torch

from where2edit.backbones.judge import from_parsing
from where2edit.commands import cli
from where2edit.commands.encoder_options import training_options
from where2edit.core.config import load
from where2edit.facetext import celeba, training
from where2edit.facetext.face_batches import Balance
from where2edit.facetext.measures import judge_auc
from where2edit.facetext.phrases import NAMES


def main() -> None:
    args = training_options(__doc__, "judge").parse_args()
    config = load(training.EncoderConfig, args.config, args.overrides)
    device = training.start(args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    table = celeba.read_attributes(args.attributes)
    photos = celeba.read_images(args.data, table.names, config.material.size)
    parsed, generated = training.material(config.material, args.data, table, args.out, device)
    torch.manual_seed(config.schedule.seed)
    judge = from_parsing(NAMES)
    fresh = [*judge.trunk.layer4.parameters(), *judge.head.parameters()]
    balance = Balance(config.within_groups)
    source = training.batches(config, photos, table, parsed, generated)
    loss = training.concept_loss(balance)
    run = training.Run(judge, fresh, [], source, balance, loss, config, args.out, device)
    kept = table.validation()
    run.advance(lambda net: judge_auc(net, photos[kept], table.values[kept]), report_every=200)
    training.publish(run.average, args.out / "judge.safetensors", config, "judge", names=",".join(NAMES))
    print(f"weights in {args.out / 'judge.safetensors'}")


if __name__ == "__main__":
    cli.run(main)
